"""MATH-500: the 500 test problems that Lightman et al. 2023 (arXiv 2305.20050) held out; asked as `math` is."""

from __future__ import annotations

from dataclasses import replace

from factory.benchmarks import math
from factory.benchmarks._harness import HeldOut
from factory.tasks._dataset import Dataset, Part

DATASET = Dataset(
    "math500",
    "HuggingFaceH4/MATH-500",
    {"test": Part("math/math500_test.json", {"problem": str, "solution": str, "answer": str}, "test")},
)


BENCHMARK = replace(
    math.BENCHMARK,
    name="math500",
    items=HeldOut(DATASET, math.row_of),
    fingerprint=DATASET.fingerprint,
    size=500,
    origin=DATASET.hub,
    summary="500 of MATH's test problems, asked as math is",
)
