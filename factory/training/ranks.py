"""The processes that train one adapter together: which one this is, and what all of them know.

Each rank samples and verifies its part of the groups of a round; then every rank has all of them. All ranks draw and
choose from one seed, so that quotas, rounds, task weights and stops are the same everywhere without being sent.
"""

from __future__ import annotations

import os
from typing import Any, TypeVar

Item = TypeVar("Item")


def rank() -> int:
    """Of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def share(items: list[Item]) -> list[Item]:
    """This rank's part of a list that all ranks have: every so manieth."""
    return items[rank() :: size()]


def gathered(part: list[Item]) -> list[Item]:
    """The whole list from its `share`s, in its order. Every rank has to call it."""
    if size() == 1:
        return part
    import torch.distributed as dist

    parts: list[Any] = [None] * size()
    dist.all_gather_object(parts, part)
    return [parts[place % size()][place // size()] for place in range(sum(map(len, parts)))]


def wait_for_all() -> None:
    """Go on when every rank is here."""
    if size() > 1:
        import torch.distributed as dist

        dist.barrier()
