"""Tasks of several difficulties, each drawn on its own: `countdown@hard` makes no easy rows.

The task by its bare name has the first three, in turn. `very_hard` and beyond are for extrapolation, and `tiny` has
short words of its own for a base of the embedded scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import Random

from factory.core.records import Split
from factory.tasks._drawn import Draws, Interleaved, Make
from factory.tasks._style import Question, Worded

NAMES = ("tiny", "easy", "medium", "hard", "very_hard", "level5", "level6")
BARE = (1, 2, 3)
SIZES: Mapping[Split, int] = {"train": 10_000, "dev": 1_000, "test": 2_000}
TINY_SIZES: Mapping[Split, int] = {"train": 2_000, "dev": 200, "test": 400}


def drawn(
    name: str,
    version: int,
    make: Callable[[int, Random], tuple[Question, object]],
    tiny: Make | None = None,
    difficulties: Iterable[int] = range(5),
) -> dict[int, Draws]:
    """The draws of a task's levels, by difficulty.

    Args:
        make: draws a question of a difficulty.
        tiny: draws one of difficulty 0, where that is made in another way.
    """
    return {
        difficulty: Draws(
            (name, version, difficulty),
            SIZES if difficulty else TINY_SIZES,
            tiny if tiny and not difficulty else partial(make, difficulty),
        )
        for difficulty in difficulties
    }


def names_of(levels: Mapping[int, Draws]) -> dict[str, int]:
    """What the levels are called, by name."""
    return {NAMES[difficulty]: difficulty for difficulty in sorted(levels)}


def levelled(levels: Mapping[int, Draws], asks: Mapping[str, str], style: str = "boxed") -> Worded:
    """The rows of a task with levels.

    Args:
        levels: by difficulty; 0 is tiny and says nothing of how to answer.
        asks: the task's words for a style's `ask`.
        style: of all levels but tiny, which is in tags.
    """
    alone = {
        difficulty: Worded(draws, style, asks=asks) if difficulty else Worded(draws, "tag", asks={"tag": ""})
        for difficulty, draws in levels.items()
    }
    return Worded(Interleaved([levels[difficulty] for difficulty in BARE]), style, asks=asks, levels=alone)
