"""Rows made here: drawn from hashed seeds, unique by prompt, split by a hash of their content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from factory.core.hashing import key_of, seed_from
from factory.core.records import Row, Split
from factory.tasks._task import Source, split_of


@dataclass(frozen=True, slots=True)
class Draft:
    """A generated row before it has an id; fields as in `Row`.

    Attributes:
        content: what the row is about, whatever its words: rephrasings of one question share it, and so land in the
            same split. Left out, the gold completion.
    """

    prompt: str
    gold: str
    reference: Mapping[str, Any]
    difficulty: int | None = None
    content: str | None = None


def generated(name: str, version: int, count: int, make: Callable[[Random], Draft]) -> dict[Split, list[Row]]:
    """Draw `count` rows and split them; duplicates of a prompt are dropped.

    The row of an index depends on (name, version, index) alone, so any process draws the same rows.
    """
    splits: dict[Split, list[Row]] = {"train": [], "dev": [], "test": []}
    seen: set[str] = set()
    for index in range(count):
        draft = make(Random(seed_from(name, version, index)))
        if draft.prompt in seen:
            continue
        seen.add(draft.prompt)
        row = Row(key_of(draft.prompt), draft.prompt, draft.gold, draft.reference, draft.difficulty)
        splits[split_of(draft.content or draft.gold)].append(row)
    return splits


class GeneratedRows:
    """The `rows` of a generated task: drawn once a process, the source is not looked at."""

    def __init__(self, name: str, version: int, count: int, make: Callable[[Random], Draft]) -> None:
        self._arguments = (name, version, count, make)
        self._splits: dict[Split, list[Row]] | None = None

    def __call__(self, split: Split, source: Source) -> Sequence[Row]:
        """The rows of a split, in drawing order."""
        del source
        if self._splits is None:
            self._splits = generated(*self._arguments)
        return self._splits[split]


def answered(work: str, answer: object) -> str:
    """A completion: the work, then the answer in its envelope."""
    return f"{work} <answer>{answer}</answer>".lstrip()
