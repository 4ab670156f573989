"""What a task is: rows in three splits, a verifier, and what the catalogue says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.core.hashing import unit_from
from factory.core.records import Row, Share, Split, Verdict


@dataclass(frozen=True, slots=True)
class Source:
    """Where a task's rows come from.

    Attributes:
        data: the offline mirror folder (`FACTORY_DATA`), None to use the Hub.
        revisions: the commits that Hub datasets were found to be at; jobs read what was planned.
        dry: whether no rows are going to be read, so that the Hub need not be asked.
        missing: why rows cannot be had now, by task; filled where `dry`.
    """

    data: Path | None = None
    revisions: dict[str, str] = field(default_factory=dict, compare=False)
    dry: bool = False
    missing: dict[str, str] = field(default_factory=dict, compare=False)

    def to_json(self) -> Any:
        """As a job's spec holds it: the mirror's folder, or the Hub's commits."""
        return str(self.data.resolve()) if self.data else dict(self.revisions)

    @classmethod
    def from_json(cls, value: Any) -> Source:
        """From what `to_json` gave; None is the Hub as it is now."""
        return cls(None, dict(value or {})) if value is None or isinstance(value, dict) else cls(Path(value))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row of a source that is not used.

    Attributes:
        where: the file or dataset and the row's place in it.
        reason: why, in one short sentence.
    """

    where: str
    reason: str


def _nothing_refused(source: Source) -> Sequence[Refusal]:
    del source
    return ()


def _nothing_read(source: Source) -> str:
    """The fingerprint of a task whose rows are generated."""
    del source
    return ""


@dataclass(frozen=True, slots=True)
class Task:
    """A task: prompts with a checkable answer.

    Attributes:
        name: the file's stem.
        version: raised whenever the same source would give other rows, prompts or verdicts.
        summary: one line for the catalogue.
        licence: of the rows.
        origin: where the rows come from.
        rows: gives the rows of a split, always the same ones in the same order.
        verify: (completion, row) -> verdict; pure to its caller, never raises on text.
        components: names of the verdict's components besides `correct`.
        shares: means of components that are reported beside the accuracy, by name.
        chance: accuracy of a guesser who knows the format; None where guessing is hopeless.
        answer_in_prompt: whether the answer stands in the prompt by nature (a name, a choice).
        fingerprint: content hash of what `rows` reads, where that is a file; "" for generated rows.
        levels: names of the difficulties, with the rows' `difficulty` they stand for; `NAME@LEVEL` has only those rows.
        level_chance: `chance` of a difficulty, where it is another one.
        refused: rows of the source that are not used, with the reason; looked for when asked.
        splits: those it has; `rows` of another one is bad input.
        counts: rows of each split, `refused` ones and the range of `difficulty`, quickly: golds that were not looked at
            yet are counted too, and `unchecked` then says so. None to count the rows themselves.
        own_row: a row from the fields that its source has, for completions made elsewhere; None where it has none.
        local: whether the rows stand beside the task, so that neither a mirror nor the Hub is needed.
    """

    name: str
    version: int
    summary: str
    licence: str
    origin: str
    rows: Callable[[Split, Source], Sequence[Row]]
    verify: Callable[[str, Row], Verdict]
    components: tuple[str, ...] = ("format",)
    shares: Mapping[str, Share] = field(default_factory=dict)
    chance: float | None = None
    answer_in_prompt: bool = False
    fingerprint: Callable[[Source], str] = _nothing_read
    levels: Mapping[str, int] = field(default_factory=dict)
    level_chance: Mapping[int, float] = field(default_factory=dict)
    refused: Callable[[Source], Sequence[Refusal]] = _nothing_refused
    splits: tuple[Split, ...] = ("train", "dev", "test")
    counts: Callable[[Source], dict[str, Any]] | None = None
    own_row: Callable[[dict[str, Any]], Row] | None = None
    local: bool = False

    @property
    def generated(self) -> bool:
        """Whether the rows are made here, from nothing."""
        return self.fingerprint is _nothing_read


def split_of(*content: object) -> Split:
    """The split a row belongs to, by a hash of its content: 70 % train, 10 % dev, 20 % test."""
    place = unit_from("split", *content)
    return "test" if place < 0.2 else "dev" if place < 0.3 else "train"
