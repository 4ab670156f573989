"""Which row of a task comes next: each task's rows in a shuffled order, all of them before any comes again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from factory.core.errors import BadInput
from factory.core.hashing import seed_from
from factory.core.records import Row

Range = tuple[int, int]


class Queues:
    """One queue for each task and difficulty; rows without a difficulty share one queue.

    Args:
        rows: training rows by task.
        seed: of the orders. The order of a queue depends on (seed, task, difficulty, round) alone.
    """

    def __init__(self, rows: Mapping[str, Sequence[Row]], seed: int) -> None:
        self._seed = seed
        self._places: dict[str, dict[int | None, list[int]]] = {}
        for task, own in rows.items():
            by: dict[int | None, list[int]] = {}
            for index, row in enumerate(own):
                by.setdefault(row.difficulty, []).append(index)
            self._places[task] = by
        self._taken: dict[tuple[str, int | None], int] = {}
        self._orders: dict[tuple[str, int | None], tuple[int, list[int]]] = {}

    def levels(self, task: str) -> list[int]:
        """The difficulties a task's rows have."""
        return sorted(level for level in self._places[task] if level is not None)

    def draw(self, task: str, count: int, within: Range | None = None) -> list[int]:
        """The next rows of a task, by index.

        Args:
            within: lowest and highest difficulty; each draw goes to the one that has given the least of itself so far.

        Raises:
            BadInput: no row has such a difficulty.
        """
        known = self._places[task]
        open_to = [d for d in known if within is None or (d is not None and within[0] <= d <= within[1])]
        if not open_to:
            has = ", ".join(map(str, self.levels(task))) or "none"
            raise BadInput(f"task {task}: no rows of difficulty {within[0]} to {within[1]}; it has {has}")  # type: ignore[index]
        return [self._next(task, self._behind(task, open_to, equally=within is not None)) for _ in range(count)]

    def _behind(self, task: str, open_to: Sequence[int | None], *, equally: bool) -> int | None:
        """The difficulty whose turn it is: as many of each, or in proportion to their rows."""
        sizes = {level: 1 if equally else len(self._places[task][level]) for level in open_to}
        return min(open_to, key=lambda level: (self._taken.get((task, level), 0) / sizes[level], str(level)))

    def _next(self, task: str, level: int | None) -> int:
        taken = self._taken.get((task, level), 0)
        self._taken[task, level] = taken + 1
        places = self._places[task][level]
        round_number, place = divmod(taken, len(places))
        return self._order(task, level, round_number)[place]

    def _order(self, task: str, level: int | None, round_number: int) -> list[int]:
        known = self._orders.get((task, level))
        if known is None or known[0] != round_number:
            order = list(self._places[task][level])
            Random(seed_from("queue", self._seed, task, level, round_number)).shuffle(order)
            known = self._orders[task, level] = (round_number, order)
        return known[1]

    def used(self, task: str) -> int:
        """How many of a task's rows have been drawn at least once."""
        return sum(min(self._taken.get((task, level), 0), len(rows)) for level, rows in self._places[task].items())

    def state(self) -> list[list[Any]]:
        """What has been taken, as JSON."""
        return [[task, level, taken] for (task, level), taken in self._taken.items()]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Go on where `state` was taken."""
        self._taken = {(task, level): taken for task, level, taken in state}
