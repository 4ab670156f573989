"""Which prompt is trained on when: fixed before training starts, so that a resumed run sees the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

Plan = list[tuple[str, int]]


def draw(sizes: Mapping[str, int], share: Mapping[str, float], steps: int, prompts: int, rng: Random) -> Plan:
    """Draw the prompts of all steps.

    Args:
        sizes: rows of each task.
        share: of each task in a step; sums to 1.
        steps: optimizer steps.
        prompts: different prompts in a step.
        rng: of the order.

    Returns:
        (task, row index) for each prompt, `steps * prompts` of them, step after step. Shares that do not divide a step
        evenly are kept over the steps: the task furthest behind its share gets the next place.
    """
    orders = {task: _shuffled(sizes[task], rng) for task in share}
    given = dict.fromkeys(share, 0)
    places: Plan = []
    for place in range(steps * prompts):
        behind = {task: share[task] * (place + 1) - given[task] for task in share}
        task = max(behind, key=lambda name: behind[name])
        given[task] += 1
        places.append((task, next(orders[task])))
    return places


def _shuffled(size: int, rng: Random) -> Iterator[int]:
    while True:
        yield from rng.sample(range(size), size)
