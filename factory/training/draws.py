"""Rows for prompts that no group of completions is chosen for: drawn as the strategy draws them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from factory.core.hashing import seed_from
from factory.training.groups import Group
from factory.training.queues import Queues, Range
from factory.training.strategy import Strategy


def drawn(strategy: Strategy, queues: Queues, step: int, size: int, seed: int) -> list[tuple[str, int]]:
    """Task and place in its queue's rows of `size` prompts, of step `step` (from 0)."""

    def draw(counts: Mapping[str, int], within: Mapping[str, Range]) -> list[Group]:
        return [
            Group(task, row, [], [], [], [])
            for task, count in counts.items()
            if count
            for row in queues.draw(task, count, within.get(task))
        ]

    selected, _ = strategy.fill(step, size, draw, np.random.default_rng(seed_from("step", seed, step)))
    return [(group.task, group.row) for group in selected.groups]
