"""One task: its rows in a shuffled order, all of them before any comes again."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from factory.core.errors import BadInput
from factory.training._plan import Plan, draw


def shares(tasks: list[str], weights: Mapping[str, float] | None) -> dict[str, float]:
    """The task has the whole step.

    Raises:
        BadInput: more than one task.
    """
    if len(tasks) != 1:
        raise BadInput(f"strategy 'single' trains on one task, got {len(tasks)}: {', '.join(tasks)}; use 'joint'")
    if weights:
        raise BadInput("strategy 'single' takes no task_weights; leave them out or use 'joint'")
    return {tasks[0]: 1.0}


def plan(sizes: Mapping[str, int], share: Mapping[str, float], steps: int, prompts: int, rng: Random) -> Plan:
    """See `factory.training._plan.draw`."""
    return draw(sizes, share, steps, prompts, rng)
