"""Several tasks in every step, in fixed shares: the uniform (or weighted) multi-task baseline."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from factory.core.errors import BadInput, UnknownName
from factory.training._plan import Plan, draw


def shares(tasks: list[str], weights: Mapping[str, float] | None) -> dict[str, float]:
    """Each task's share of a step; equal unless weights are given. Sums to 1.

    Raises:
        UnknownName: a weight for a task that is not trained on.
        BadInput: a task without a weight where others have one.
    """
    if weights is None:
        return {task: 1 / len(tasks) for task in tasks}
    for name in weights:
        if name not in tasks:
            raise UnknownName("task", name, tasks, "task_weights")
    missing = [task for task in tasks if task not in weights]
    if missing:
        raise BadInput(f"task_weights: no weight for {', '.join(missing)}; give one to every task or leave all out")
    total = sum(weights.values())
    return {task: weights[task] / total for task in tasks}


def plan(sizes: Mapping[str, int], share: Mapping[str, float], steps: int, prompts: int, rng: Random) -> Plan:
    """See `factory.training._plan.draw`."""
    return draw(sizes, share, steps, prompts, rng)
