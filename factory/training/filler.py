"""Fills a training step: draws rows, samples and verifies groups, and lets the strategy choose among them.

It is TRL's `rollout_func`, a public hook that may return other prompts than it was given: the trainer's own rows are
placeholders, and the strategy sees what was generated before anything is trained on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from factory.core.hashing import seed_from
from factory.core.records import Row, Verdict
from factory.rewards import Pool, Scorer
from factory.training import ranks
from factory.training.groups import Group
from factory.training.queues import Queues, Range
from factory.training.ranks import gathered, share
from factory.training.selection import Selected
from factory.training.strategy import Strategy

Sample = Callable[[Any, Sequence[list[int]]], list[list[list[int]]]]


@dataclass
class Step:
    """What the last filled step was made of.

    Attributes:
        padding: groups that only make up the number; none of their tokens count.
        generation_seconds, scoring_seconds: wall time, over all rounds.
    """

    selected: Selected
    shares: dict[str, float]
    padding: list[Group] = field(default_factory=list)
    generation_seconds: float = 0.0
    scoring_seconds: float = 0.0


@dataclass
class Filler:
    """The trainer's source of completions.

    Attributes:
        pools: rows by task.
        strategy: chooses.
        scorer: verifies and pays.
        tokens: a row's prompt as token ids.
        texts: completions' token ids as texts.
        sample: groups of completions for prompts, from the trainer's model.
        group: completions of a prompt.
        seed: of all drawing.
    """

    pools: Mapping[str, Pool]
    strategy: Strategy
    scorer: Scorer
    tokens: Callable[[Row], list[int]]
    texts: Callable[[Sequence[list[int]]], list[str]]
    sample: Sample
    group: int
    seed: int
    step: Step | None = None

    def __post_init__(self) -> None:
        self._queues = Queues({task: pool.rows for task, pool in self.pools.items()}, self.seed)

    def __call__(self, prompts: list[Any], trainer: Any) -> dict[str, Any]:
        """Groups for as many rows as there are `prompts`, whatever these say; see TRL's `rollout_func`.

        Of several ranks each gets its part of one step, whole groups.
        """
        local = len(prompts) // self.group
        size = local * ranks.size()
        number = trainer.state.global_step
        self.step = step = Step(Selected([]), {})
        # A generator of its own for each step: a resumed run needs no more than the step's number.
        rng = np.random.default_rng(seed_from("step", self.seed, number))

        def draw(counts: Mapping[str, int], within: Mapping[str, Range]) -> list[Group]:
            return self._groups(counts, within, trainer)

        step.selected, step.shares = self.strategy.fill(number, size, draw, rng)
        step.padding = self._padding(step.selected, size)
        groups = [*step.selected.groups, *step.padding]
        counted = [True] * len(step.selected.groups) + [not step.selected.groups] * len(step.padding)
        own = slice(ranks.rank() * local, (ranks.rank() + 1) * local)
        groups, counted = groups[own], counted[own]
        return {
            "prompt_ids": [group.prompt_ids for group in groups for _ in group.completion_ids],
            "completion_ids": [ids for group in groups for ids in group.completion_ids],
            "logprobs": None,
            "env_mask": [
                [int(counts)] * len(ids)
                for group, counts in zip(groups, counted, strict=True)
                for ids in group.completion_ids
            ],
            "task": [group.task for group in groups for _ in group.completion_ids],
            "row": [group.row for group in groups for _ in group.completion_ids],
            "verdict": [verdict for group in groups for verdict in group.verdicts],
        }

    def _groups(self, counts: Mapping[str, int], within: Mapping[str, Range], trainer: Any) -> list[Group]:
        """Sample and verify groups for so many rows of each task, shared out among the ranks; each has all of them."""
        assert self.step is not None
        start = time.monotonic()
        rows = [
            (task, index)
            for task, count in counts.items()
            if count
            for index in self._queues.draw(task, count, within.get(task))
        ]
        own = share(rows)
        prompts = [self.tokens(self.pools[task].rows[index]) for task, index in own]
        sampled = self.sample(trainer, prompts) if prompts else []
        generated = time.monotonic()
        groups = []
        for (task, index), prompt, completions in zip(own, prompts, sampled, strict=True):
            verdicts: list[Verdict] = self.scorer.verdicts(task, index, self.texts(completions))
            rewards = [self.scorer.reward(task, verdict) for verdict in verdicts]
            groups.append(Group(task, index, prompt, completions, verdicts, rewards))
        self.step.generation_seconds += generated - start
        self.step.scoring_seconds += time.monotonic() - generated
        return gathered(groups)

    @staticmethod
    def _padding(selected: Selected, size: int) -> list[Group]:
        """Groups to make up a step's number, from those that were generated and not chosen.

        Those with equal rewards come first: they have no advantages, whatever else is done with them.
        """
        missing = size - len(selected.groups)
        if not missing:
            return []
        chosen = {id(group) for group in selected.groups}
        others = sorted((g for g in selected.seen if id(g) not in chosen), key=lambda group: group.spread)
        others = others or selected.groups
        return [others[place % len(others)] for place in range(missing)]

    def longest_prompt(self, rows: int = 200) -> int:
        """Tokens of the longest prompt among the first rows of each task."""
        return max(len(self.tokens(row)) for pool in self.pools.values() for row in pool.rows[:rows])

    def used(self, task: str) -> int:
        """How many of a task's rows have been drawn at least once."""
        return self._queues.used(task)

    def state(self) -> dict[str, Any]:
        """Everything that changes, as JSON."""
        return {"queues": self._queues.state(), "strategy": self.strategy.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._queues.restore(state["queues"])
        self.strategy.restore(state["strategy"])
