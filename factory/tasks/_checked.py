"""The questions of a dataset: read, worded, split, each gold answer checked; what is refused is kept track of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

from factory.core.errors import BadInput
from factory.core.records import Row, Split, Verdict
from factory.tasks._cache import keep, recorded
from factory.tasks._golds import Judge, accepted, record_of, refused_golds
from factory.tasks._rows import Rows
from factory.tasks._style import Question, Worded
from factory.tasks._task import Refusal, Source, Task

SPLITS: tuple[Split, ...] = ("train", "dev", "test")


class Provider(Protocol):
    """Where rows come from; a `Dataset`, or a file of the user's own."""

    @property
    def task(self) -> str:
        """What the task is called."""

    @property
    def parts(self) -> Iterable[str]:
        """Names of the parts, in the order in which they are read."""

    def fingerprint(self, source: Source) -> str:
        """A content hash of all parts."""

    def rows(self, part: str, source: Source) -> Rows:
        """The rows of a part."""

    def place_of_row(self, part: str, source: Source, number: int) -> str:
        """What a row is called when something is said of it."""


class Unusable(Exception):
    """A row that has its fields and is still no question; it is refused, and the text says why."""


Make = Callable[[dict[str, Any], str, Source], tuple[Question, Split] | None]
"""(row, name of its part, source) -> its question and split, None to pass it over; may raise `Unusable`."""


@dataclass(frozen=True)
class Loaded:
    """What a dataset gives.

    Attributes:
        splits: questions by split, in the order of the files.
        places: part and place where each question was read, by id.
        refused: rows that are not used, by part.
    """

    splits: Mapping[Split, list[Question]]
    places: Mapping[str, tuple[str, str]]
    refused: Mapping[str, list[Refusal]]

    def all_refused(self) -> list[Refusal]:
        """The refused rows of all parts."""
        return [one for found in self.refused.values() for one in found]

    def counts(self) -> dict[str, Any]:
        """Questions of each split, the refused ones, and the lowest and highest difficulty."""
        scale = [q.difficulty for found in self.splits.values() for q in found if q.difficulty is not None]
        return {
            **{split: len(found) for split, found in self.splits.items()},
            "refused": len(self.all_refused()),
            "difficulty": [min(scale), max(scale)] if scale else None,
        }


class Checked:
    """The `questions` of a `Worded`, from a dataset.

    Args:
        version: of the task; with its name, what the record of checks is kept by.
        dataset: where the rows are. Of a question that comes twice, the one in the earlier part is kept.
        make: a row's question.
        verify: the task's verifier.
        style: in which gold answers are checked.
        judge: what is asked of a gold answer's verdict.
        splits: those that have questions.
    """

    def __init__(
        self,
        version: int,
        dataset: Provider,
        make: Make,
        verify: Callable[[str, Row], Verdict],
        style: str,
        judge: Judge = accepted,
        splits: tuple[Split, ...] = SPLITS,
    ) -> None:
        self.version, self.dataset, self.splits = version, dataset, splits
        self.verify, self.style = verify, style
        self._make, self._judge = make, judge
        self._kept: tuple[object, Loaded] | None = None
        self._lock = RLock()

    def __call__(self, split: Split, source: Source) -> Sequence[Question]:
        """The questions of a split.

        Raises:
            BadInput: the rows cannot be had, none of a part is usable, or there is no such split.
        """
        if split not in self.splits:
            raise BadInput(f"task {self.dataset.task} has no {split} split, only {' and '.join(self.splits)}")
        return self._loaded(source).splits[split]

    def refused(self, source: Source) -> Sequence[Refusal]:
        """The rows that are not used."""
        return self._loaded(source).all_refused()

    def counts(self, source: Source) -> dict[str, Any]:
        """Rows of each split; no gold answer is checked for it, and until all are, `unchecked` says so."""
        known = recorded(
            self._record_of_counts(self.dataset.fingerprint(source)), (*self.splits, "refused", "difficulty")
        )
        return known or {**self._read(source).counts(), "unchecked": True}

    @property
    def _record(self) -> str:
        return f"{self.dataset.task} {self.version}"

    def _record_of_counts(self, fingerprint: str) -> Path:
        return record_of("counts", self._record, fingerprint)

    def _loaded(self, source: Source) -> Loaded:
        key = (source.data, self.dataset.fingerprint(source))
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = (key, self._with_golds_checked(self._read(source), key[1]))
                if not self._record_of_counts(key[1]).is_file():
                    keep(self._record_of_counts(key[1]), self._kept[1].counts())
            return self._kept[1]

    def _with_golds_checked(self, read: Loaded, fingerprint: str) -> Loaded:
        worded = Worded(self, self.style)
        rows = [worded.row(question) for found in read.splits.values() for question in found]
        wrong = refused_golds(self._record, fingerprint, rows, self.verify, self._judge)
        kept = {split: [q for q in found if q.id not in wrong] for split, found in read.splits.items()}
        refused = {part: list(found) for part, found in read.refused.items()}
        for name, reason in wrong.items():
            part, place = read.places[name]
            refused[part].append(Refusal(place, reason))
        used = {read.places[question.id][0] for found in kept.values() for question in found}
        for part, found in refused.items():
            if found and part not in used:
                raise BadInput(f"task {self.dataset.task}: no row can be used; {found[0].where}: {found[0].reason}")
        return Loaded(kept, read.places, refused)

    def _read(self, source: Source) -> Loaded:
        splits: dict[Split, list[Question]] = {split: [] for split in self.splits}
        places: dict[str, tuple[str, str]] = {}
        refused: dict[str, list[Refusal]] = {part: [] for part in self.dataset.parts}
        for part in self.dataset.parts:
            for number, plain in enumerate(self.dataset.rows(part, source)):
                place = self.dataset.place_of_row(part, source, number)
                try:
                    made = self._make(plain, part, source)
                    if made is None:
                        continue
                    question, split = made
                    if question.id in places:
                        raise Unusable(f"the same question as {places[question.id][1]}")
                except Unusable as error:
                    refused[part].append(Refusal(place, str(error)))
                    continue
                places[question.id] = (part, place)
                splits[split].append(question)
        return Loaded(splits, places, refused)


def checked_task(questions: Checked, asks: Mapping[str, str], styles: tuple[str, ...] = (), **catalogue: Any) -> Task:
    """The task of some questions, by their dataset's name.

    Args:
        asks: its own words for a style's `ask`, by style.
        styles: those that its verifier can read; none named: those of `asks`.
        catalogue: the other fields of `Task`.
    """
    return Task(
        name=questions.dataset.task,
        version=questions.version,
        rows=Worded(questions, questions.style, asks=asks, styles=styles or tuple(asks)),
        verify=questions.verify,
        fingerprint=questions.dataset.fingerprint,
        refused=questions.refused,
        splits=questions.splits,
        counts=questions.counts,
        **catalogue,
    )
