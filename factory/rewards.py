"""From verdicts to TRL's reward functions: one for each named component, None where a component does not apply.

Each completion is verified once a step; the components read the same verdict. What was seen is kept per task for the
metrics file: rewards, shares of groups without any signal, lengths, completions the verifier failed on.
"""

from __future__ import annotations

import time
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
    """Refuse reward weights that name no component, or that never pay for a right answer.

    Raises:
        UnknownName: a component that none of the tasks has.
        BadInput: neither `correct` nor `score` has a positive weight.
    """
    known = {CORRECT, SCORE, *(name for task in tasks for name in task.components)}
    for name in weights:
        if name not in known:
            raise UnknownName("reward component", name, known, where)
    shaping = sum(weight for name, weight in weights.items() if name not in (CORRECT, SCORE) and weight > 0)
    solving = weights.get(CORRECT, 0.0) + weights.get(SCORE, 0.0)
    if solving <= shaping:
        raise BadInput(
            f"{where}: the rewards for shape sum to {shaping:g} and for solving to {solving:g}; a wrong answer could "
            "outrank a right one, so give 'correct' more than all others together"
        )


class Scorer:
    """Reward functions over a set of task pools, and what they saw.

    Args:
        pools: by task name.
        weights: of the components, in the order of `functions()`.
        group: completions of one prompt, which arrive next to each other.
        unscorable_limit: share of completions the verifier may fail on, over all that were seen.
    """

    def __init__(
        self, pools: Mapping[str, Pool], weights: Mapping[str, float], group: int, unscorable_limit: float
    ) -> None:
        self._pools, self._weights, self._group, self._limit = pools, weights, group, unscorable_limit
        self._last: tuple[object, list[Verdict]] | None = None
        self._seen = self._failed = 0
        self._stats: dict[str, dict[str, Any]] = {}
        self.seconds = 0.0
        self.started_at = 0.0
        self.calls = 0

    def functions(self) -> list[RewardFunction]:
        """One reward function for each component, named after it."""
        return [self._function(name) for name in self._weights]

    def take(self) -> dict[str, dict[str, Any]]:
        """What was seen per task since the last call, for one line of the metrics file."""
        stats, self._stats = self._stats, {}
        return stats

    def _function(self, component: str) -> RewardFunction:
        def reward(
            completions: list[Any], completion_ids: list[list[int]], task: list[str], row: list[int], **_: Any
        ) -> list[float | None]:
            verdicts = self._verdicts(completions, completion_ids, task, row)
            return [self._value(component, name, verdict) for name, verdict in zip(task, verdicts, strict=True)]

        reward.__name__ = component
        return reward

    def _value(self, component: str, task: str, verdict: Verdict) -> float | None:
        if verdict.score is None:
            return None
        if component == CORRECT:
            return float(bool(verdict.correct))
        if component == SCORE:
            return verdict.score
        if component not in self._pools[task].task.components:
            return None
        return float(verdict.components.get(component, 0.0))

    def _verdicts(
        self, completions: list[Any], ids: list[list[int]], tasks: list[str], rows: list[int]
    ) -> list[Verdict]:
        # TRL calls the functions one after the other with the same list; the first call does the work.
        if self._last is not None and self._last[0] is completions:
            return self._last[1]
        start = time.monotonic()
        if not self.calls:
            self.started_at = start
        texts = [text if isinstance(text, str) else text[-1]["content"] for text in completions]
        verdicts = [
            self._pools[name].task.verify(text, self._pools[name].rows[index])
            for text, name, index in zip(texts, tasks, rows, strict=True)
        ]
        self._last = (completions, verdicts)
        self._check(verdicts)
        self._record(verdicts, tasks, [len(sequence) for sequence in ids])
        self.seconds += time.monotonic() - start
        self.calls += 1
        return verdicts

    def _check(self, verdicts: list[Verdict]) -> None:
        failed = [verdict for verdict in verdicts if verdict.score is None]
        self._seen += len(verdicts)
        self._failed += len(failed)
        if failed and self._failed > self._limit * self._seen:
            raise WorkFailed(
                f"the verifier failed on {self._failed} of {self._seen} completions, more than unscorable_limit "
                f"{self._limit:g} allows; the last reason: {failed[-1].reason}"
            )

    def _record(self, verdicts: list[Verdict], tasks: list[str], lengths: list[int]) -> None:
        for name in dict.fromkeys(tasks):
            places = [place for place, task in enumerate(tasks) if task == name]
            mine = [verdicts[place] for place in places]
            rewards = [self._total(name, verdict) for verdict in mine]
            groups = [rewards[start : start + self._group] for start in range(0, len(rewards), self._group)]
            self._stats[name] = {
                "prompts": len(groups),
                "completions": len(mine),
                "reward": _mean(rewards),
                "components": {
                    component: _mean([self._value(component, name, verdict) for verdict in mine])
                    for component in self._weights
                    if component in (CORRECT, SCORE, *self._pools[name].task.components)
                },
                "zero_variance": sum(_spread(group) == 0 for group in groups) / len(groups),
                "length": _mean([float(lengths[place]) for place in places]),
                "unscorable": sum(verdict.score is None for verdict in mine),
            }

    def _total(self, task: str, verdict: Verdict) -> float | None:
        values = {name: self._value(name, task, verdict) for name in self._weights}
        if all(value is None for value in values.values()):
            return None
        return sum(self._weights[name] * value for name, value in values.items() if value is not None)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None


def _spread(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return max(known) - min(known) if known else 0.0
