"""From verdicts to TRL's reward functions: one for each named component, None where a component does not apply.

Each completion is verified once; the components read the same verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory.core.errors import BadInput, UnknownName, WorkFailed
from factory.core.records import Row, Verdict
from factory.tasks._task import Task

CORRECT, SCORE = "correct", "score"
RewardFunction = Callable[..., list[float | None]]


@dataclass(frozen=True, slots=True)
class Pool:
    """A task and the rows that training draws from."""

    task: Task
    rows: Sequence[Row]


def check_components(weights: Mapping[str, float], tasks: Sequence[Task], where: str) -> None:
    """Refuse reward weights under which a completion that does not solve its row could outrank one that does.

    Components lie in [0, 1], so a wrong answer gains at most the sum of all other weights, whatever their signs.

    Raises:
        UnknownName: a component that none of the tasks has.
        BadInput: `correct` and `score` together do not weigh more than all others.
    """
    known = {CORRECT, SCORE, *(name for task in tasks for name in task.components)}
    for name in weights:
        if name not in known:
            raise UnknownName("reward component", name, known, where)
    shaping = sum(abs(weight) for name, weight in weights.items() if name not in (CORRECT, SCORE))
    solving = weights.get(CORRECT, 0.0) + weights.get(SCORE, 0.0)
    if not (shaping < solving < math.inf):  # so that NaN is refused too
        raise BadInput(
            f"{where}: the rewards for shape come to {shaping:g}, signs aside, and for solving to {solving:g}; a wrong "
            "answer could outrank a right one, so give 'correct' more than all others together"
        )


class Scorer:
    """Verifies completions of rows in a set of task pools, and pays for what the verdicts say.

    Args:
        pools: by task name.
        weights: of the components, in the order of `functions()`.
        unscorable_limit: share of completions the verifier may fail on, over all that were seen.
    """

    def __init__(self, pools: Mapping[str, Pool], weights: Mapping[str, float], unscorable_limit: float) -> None:
        self._pools, self._weights, self._limit = pools, weights, unscorable_limit
        self._seen = self._failed = 0

    def verdicts(self, task: str, row: int, texts: Sequence[str]) -> list[Verdict]:
        """Verify completions of one row; equal texts once.

        Raises:
            WorkFailed: the verifier failed on more completions than it may.
        """
        pool = self._pools[task]
        known = {text: pool.task.verify(text, pool.rows[row]) for text in dict.fromkeys(texts)}
        found = [known[text] for text in texts]
        self._check(task, found)
        return found

    def components(self, task: str) -> list[str]:
        """The rewarded components that a task has."""
        own = (CORRECT, SCORE, *self._pools[task].task.components)
        return [name for name in self._weights if name in own]

    def value(self, component: str, task: str, verdict: Verdict) -> float | None:
        """One component of a verdict; None if it does not apply, or there is no verdict."""
        if verdict.score is None:
            return None
        if component == CORRECT:
            return float(bool(verdict.correct))
        if component == SCORE:
            return verdict.score
        if component not in self._pools[task].task.components:
            return None
        return float(verdict.components.get(component, 0.0))

    def reward(self, task: str, verdict: Verdict) -> float | None:
        """The weighted sum of the components that apply; None if none does."""
        values = {name: self.value(name, task, verdict) for name in self._weights}
        if all(value is None for value in values.values()):
            return None
        return sum(self._weights[name] * value for name, value in values.items() if value is not None)

    def functions(self) -> list[RewardFunction]:
        """One reward function for each component, named after it; they read columns `task` and `verdict`."""
        return [self._function(name) for name in self._weights]

    def _function(self, component: str) -> RewardFunction:
        def reward(task: list[str], verdict: list[Verdict], **_: Any) -> list[float | None]:
            return [self.value(component, name, one) for name, one in zip(task, verdict, strict=True)]

        reward.__name__ = component
        return reward

    def _check(self, task: str, verdicts: list[Verdict]) -> None:
        failed = [verdict for verdict in verdicts if verdict.score is None]
        self._seen += len(verdicts)
        self._failed += len(failed)
        if failed and self._failed > self._limit * self._seen:
            raise WorkFailed(
                f"task {task}: the verifier failed, {self._failed} of {self._seen} completions in all, more than "
                f"unscorable_limit {self._limit:g} allows; the last reason: {failed[-1].reason}; mend that, "
                "or raise the limit"
            )
