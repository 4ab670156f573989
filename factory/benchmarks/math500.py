"""MATH-500: the 500 test problems that Lightman et al. 2023 (arXiv 2305.20050) held out; asked as `math` is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from factory.benchmarks import math
from factory.core.errors import BadInput
from factory.core.records import Row, Split
from factory.tasks._dataset import Dataset, Part
from factory.tasks._task import Source

DATASET = Dataset(
    "math500",
    "HuggingFaceH4/MATH-500",
    {"test": Part("math/math500_test.json", {"problem": str, "solution": str, "answer": str}, "test")},
)


@lru_cache(maxsize=2)
def _items(source: Source, fingerprint: str) -> tuple[Row, ...]:
    del fingerprint
    return tuple(math.row_of(row) for row in DATASET.rows("test", source))


def items(split: Split, source: Source) -> Sequence[Row]:
    """The 500 problems.

    Raises:
        BadInput: another split.
    """
    if split != "test":
        raise BadInput(f"benchmark math500 has no {split} split, only test")
    return _items(source, DATASET.fingerprint(source))


BENCHMARK = replace(
    math.BENCHMARK,
    name="math500",
    items=items,
    fingerprint=DATASET.fingerprint,
    origin=DATASET.hub,
    summary="500 of MATH's test problems, asked as math is",
)
