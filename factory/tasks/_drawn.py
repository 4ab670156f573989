"""Questions drawn when they are looked at: a level knows how many rows it has, and makes only those that are used.

The question of an index depends on (task, version, level, index) alone, so neighbouring indices and levels share
nothing and any process draws the same ones. What a question is about decides its split, and comes only once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from threading import RLock
from typing import Any

from factory.core.atomic import read_json, write_json
from factory.core.errors import CorruptFile, StoreError, WorkFailed
from factory.core.hashing import key_of, seed_from
from factory.core.records import Split
from factory.tasks._on_demand import OnDemand
from factory.tasks._style import Question
from factory.tasks._task import Source, split_of

Make = Callable[[Random], tuple[Question, object]]
"""Draws a question, and says what it is about: equal content is one question, however it is worded."""

WASTED_IN_A_ROW = 20_000
BLOCK = 5


class Draws:
    """The questions of one level, by split; callable as the `questions` of a `Worded`.

    Args:
        parts: task, version and level: what the seeds are made of.
        sizes: questions of each split. Content falls into splits as 70 : 10 : 20.
        make: draws one question.
        wasted: draws in a row that may come to nothing new before the level is taken to have no more.
    """

    def __init__(
        self, parts: Sequence[object], sizes: Mapping[Split, int], make: Make, wasted: int = WASTED_IN_A_ROW
    ) -> None:
        self.parts, self.sizes = tuple(parts), sizes
        self._make, self._most_wasted = make, wasted
        self._found: dict[Split, list[Question]] = {split: [] for split in sizes}
        self._seen: set[str] = set()
        self._index = self._wasted = 0
        self._lock = RLock()

    def __call__(self, split: Split, source: Source) -> Sequence[Question]:
        """The questions of a split, always the same in the same order."""
        del source
        return OnDemand(self.sizes[split], lambda place: self._upto(split, place + 1)[place])

    def _upto(self, split: Split, count: int) -> list[Question]:
        found = self._found[split]
        with self._lock:
            while len(found) < count:
                self._draw()
        return found

    def _draw(self) -> None:
        question, content = self._drawn(self._index)
        self._index += 1
        key, place = key_of(content), self._found[split_of(content)]
        if key in self._seen or len(place) == self.sizes[split_of(content)]:
            self._wasted += 1
            if self._wasted > self._most_wasted:
                found = {split: len(rows) for split, rows in self._found.items()}
                raise WorkFailed(f"{':'.join(map(str, self.parts[:2]))} has no more different rows than {found}")
            return
        self._wasted = 0
        self._seen.add(key)
        place.append(question)

    def _drawn(self, index: int) -> tuple[Question, object]:
        return self._make(Random(seed_from(*self.parts, index)))


class KeptDraws(Draws):
    """Draws that cost enough to be kept on disk, in blocks, for the next process; `folder` is named when needed."""

    def __init__(
        self,
        parts: Sequence[object],
        sizes: Mapping[Split, int],
        make: Make,
        folder: Callable[[], Path],
        wasted: int = WASTED_IN_A_ROW,
    ) -> None:
        super().__init__(parts, sizes, make, wasted)
        self._folder = folder
        self._block: tuple[int, list[tuple[Question, object]]] = (-1, [])

    def _drawn(self, index: int) -> tuple[Question, object]:
        number, place = divmod(index, BLOCK)
        if self._block[0] != number:
            self._block = (number, self._kept(number))
        return self._block[1][place]

    def _kept(self, number: int) -> list[tuple[Question, object]]:
        start = number * BLOCK
        path = self._folder() / f"{'-'.join(map(str, self.parts))}-{start:06}-{start + BLOCK:06}.json"
        if path.is_file():
            try:
                kept = [(Question(**fields), content) for fields, content in read_json(path)]
                if len(kept) != BLOCK:
                    raise ValueError(f"{len(kept)} rows, expected {BLOCK}")
                return kept
            except (CorruptFile, TypeError, ValueError) as error:
                logging.getLogger(__name__).warning("%s is damaged and drawn again (%s)", path, error)
        block = [super(KeptDraws, self)._drawn(start + place) for place in range(BLOCK)]
        try:
            write_json(path, [(_fields(question), content) for question, content in block])
        except StoreError as error:
            logging.getLogger(__name__).warning("rows are not kept for the next time: %s", error)
        return block


def _fields(question: Question) -> dict[str, Any]:
    return {name: getattr(question, name) for name in Question.__dataclass_fields__}


class Interleaved:
    """Several levels as one: a question of each in turn, so that the first few are of every level."""

    def __init__(self, levels: Sequence[Draws]) -> None:
        self._levels = levels

    def __call__(self, split: Split, source: Source) -> Sequence[Question]:
        """The questions of a split; all levels have as many."""
        parts = [level(split, source) for level in self._levels]
        count = len(parts)
        return OnDemand(sum(map(len, parts)), lambda place: parts[place % count][place // count])
