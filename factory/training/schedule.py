"""What is open at which step: tasks one after the other, or difficulties that rise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from factory.training.queues import Range
from factory.training.strategy import Allowed


@dataclass(frozen=True)
class OneAfterAnother:
    """Each task alone for an equal part of the steps, in the recipe's order."""

    tasks: list[str]
    steps: int

    def __call__(self, step: int) -> Allowed:
        """The task whose part the step is in."""
        return Allowed((self.tasks[min(step * len(self.tasks) // self.steps, len(self.tasks) - 1)],))


@dataclass(frozen=True)
class Rising:
    """Difficulties that open one after the other, evenly over the first part of training.

    Attributes:
        levels: lowest and highest difficulty of each task; tasks without difficulties are always open whole.
        steps: of the training.
        over: share of the steps after which the highest difficulty is open.
        window: how many difficulties are open at a time; None keeps the easier ones open.
    """

    tasks: list[str]
    levels: Mapping[str, Range]
    steps: int
    over: float = 0.8
    window: int | None = None

    def __call__(self, step: int) -> Allowed:
        """All tasks, each up to the difficulty its turn has come to."""
        done = min(1.0, step / max(1.0, self.over * self.steps))
        within = {}
        for task, (low, high) in self.levels.items():
            top = min(high, low + int(done * (high - low + 1)))
            within[task] = (low if self.window is None else max(low, top - self.window + 1), top)
        return Allowed(tuple(self.tasks), within)
