"""Which groups a step trains on: every one that is drawn, or only those that teach something.

A group is one prompt with its completions; it is informative if their rewards differ, for only then has it advantages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal, Protocol

import numpy as np

from factory.training.groups import Group

Draw = Callable[[Mapping[str, int]], list[Group]]
Filter = Literal["strict", "lenient"]


@dataclass
class Selected:
    """The groups of a step.

    Attributes:
        groups: to train on, at most as many as asked for.
        quota: places each task was to have; {} where there is no quota.
        rounds: of generation.
        seen: all groups that were generated, kept or not.
    """

    groups: list[Group]
    quota: dict[str, int] = field(default_factory=dict)
    rounds: int = 1
    seen: list[Group] = field(default_factory=list)


class Selection(Protocol):
    """A way to fill a step.

    Attributes:
        filter: which groups count as informative, see `is_informative`.
    """

    filter: Filter

    def select(self, draw: Draw, shares: Mapping[str, float], size: int, rng: np.random.Generator) -> Selected:
        """Fill a step of `size` groups from prompts drawn by `shares`."""

    def state(self) -> dict[str, Any]:
        """Everything that changes, as JSON."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""


@dataclass
class Every:
    """All groups that are drawn. The task furthest behind its share gets the next place."""

    credit: dict[str, float] = field(default_factory=dict)
    filter: Filter = "lenient"

    def select(self, draw: Draw, shares: Mapping[str, float], size: int, rng: np.random.Generator) -> Selected:
        """Draw exactly `size` groups; shares that do not divide a step evenly are kept over the steps."""
        del rng
        quota = dict.fromkeys(shares, 0)
        for _ in range(size):
            for task, share in shares.items():
                self.credit[task] = self.credit.get(task, 0.0) + share
            task = max(shares, key=lambda name: self.credit[name])
            self.credit[task] -= 1.0
            quota[task] += 1
        groups = draw(quota)
        return Selected(groups, quota, seen=groups)

    def state(self) -> dict[str, Any]:
        """What each task is owed."""
        return {"credit": self.credit}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.credit = dict(state["credit"])


@dataclass
class Refill:
    """DAPO's dynamic sampling (arXiv 2503.14476, section 3.2): draw until enough groups are informative.

    Any mix of tasks fills the step, so tasks whose groups are seldom informative lose places.

    Attributes:
        oversample: prompts of one round, as a multiple of the step's.
        max_rounds: of generation in one step; then the step is smaller.
        filter: see `is_informative`.
    """

    oversample: float = 3.0
    max_rounds: int = 10
    filter: Filter = "lenient"

    def select(self, draw: Draw, shares: Mapping[str, float], size: int, rng: np.random.Generator) -> Selected:
        """Draw rounds until `size` groups are informative; of more than that, a random `size` are kept."""
        seen: list[Group] = []
        kept: list[Group] = []
        rounds = 0
        while len(kept) < size and rounds < self.max_rounds:
            new = draw(_multinomial(ceil(self.oversample * size), shares, rng))
            seen += new
            kept += [group for group in new if is_informative(group, self.filter)]
            rounds += 1
        if len(kept) > size:
            kept = [kept[place] for place in sorted(rng.choice(len(kept), size, replace=False))]
        return Selected(kept, {}, rounds, seen)

    def state(self) -> dict[str, Any]:
        """Nothing changes."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing changes."""


@dataclass
class RatioPreserving:
    """MT-GRPO's ratio-preserving sampler (arXiv 2602.05547, Algorithm 2): what survives the filter keeps the shares.

    Quotas n ~ Multinomial(B, z). A task whose groups are often filtered out is drawn more often, by
    m_k = min(1 / (1 - rho_k), most); rounds go on for what is still missing. If that cannot be had, the places are
    filled from other tasks' surplus; if there is too little of everything, the step is smaller.

    Attributes:
        oversample, max_rounds, filter: as in `Refill`; the first round counts.
        most: of m_k.
        inflate: whether to draw by m_k at all.
        resample: prompts of a further round: as many as in the first (`paper`), or as the deficit needs (`deficit`).
        decay: of rho_k, the running share of a task's groups that are filtered out; it starts at 0.
    """

    oversample: float = 3.0
    max_rounds: int = 10
    filter: Filter = "lenient"
    most: float = 5.0
    inflate: bool = True
    resample: Literal["paper", "deficit"] = "paper"
    decay: float = 0.9
    rejected: dict[str, float] = field(default_factory=dict)

    def select(self, draw: Draw, shares: Mapping[str, float], size: int, rng: np.random.Generator) -> Selected:
        """Fill the quotas; see the class."""
        quota = _multinomial(size, shares, rng)
        seen: list[Group] = []
        kept: dict[str, list[Group]] = {task: [] for task in shares}
        wanted = {task: shares[task] * self._inflation(task) for task in shares}
        prompts, rounds = ceil(self.oversample * size), 0
        while rounds < self.max_rounds:
            new = draw(_multinomial(prompts, wanted, rng))
            seen += new
            rounds += 1
            for group in new:
                if is_informative(group, self.filter):
                    kept[group.task].append(group)
            self._learn(new)
            deficit = {task: max(quota[task] - len(kept[task]), 0) for task in shares}
            if not sum(deficit.values()):
                break
            wanted = {task: deficit[task] * self._inflation(task) for task in shares}
            if self.resample == "deficit":
                prompts = ceil(sum(wanted.values()))
        return Selected(self._trim(kept, quota, size, rng), quota, rounds, seen)

    def _inflation(self, task: str) -> float:
        rejected = self.rejected.get(task, 0.0)
        return min(1 / max(1 - rejected, 1e-9), self.most) if self.inflate else 1.0

    def _learn(self, new: list[Group]) -> None:
        for task in dict.fromkeys(group.task for group in new):
            own = [group for group in new if group.task == task]
            share = sum(not is_informative(group, self.filter) for group in own) / len(own)
            self.rejected[task] = self.decay * self.rejected.get(task, 0.0) + (1 - self.decay) * share

    def _trim(
        self, kept: Mapping[str, list[Group]], quota: Mapping[str, int], size: int, rng: np.random.Generator
    ) -> list[Group]:
        """At most the quota of each task, at random; then the surplus, at random, up to `size`."""
        chosen: list[Group] = []
        surplus: list[Group] = []
        for task, groups in kept.items():
            order = rng.permutation(len(groups))
            chosen += [groups[place] for place in order[: quota[task]]]
            surplus += [groups[place] for place in order[quota[task] :]]
        missing = min(size - len(chosen), len(surplus))
        chosen += [surplus[place] for place in rng.permutation(len(surplus))[:missing]]
        return chosen

    def state(self) -> dict[str, Any]:
        """rho."""
        return {"rejected": self.rejected}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.rejected = dict(state["rejected"])


def is_informative(group: Group, filter: Filter) -> bool:
    """Whether a group teaches: `lenient`: its rewards differ; `strict`: some of it is correct and some is not."""
    if filter == "strict":
        return 0 < group.correct < group.scored
    return group.spread > 0


def _multinomial(count: int, shares: Mapping[str, float], rng: np.random.Generator) -> dict[str, int]:
    weights = np.array(list(shares.values()), dtype=np.float64)
    drawn = rng.multinomial(count, weights / weights.sum())
    return {task: int(number) for task, number in zip(shares, drawn, strict=True)}
