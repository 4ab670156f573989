"""Linear contrasts of variants: the main effects of a study whose arms cross several factors, or any other comparison.

A contrast gives each variant a weight, all together 0: `high` and `high_curriculum` 0.5 each, `low` and
`low_curriculum` -0.5 each, is the mean effect of going from low to high (Montgomery, Design and Analysis of
Experiments, chapter 6). It is taken item by item and seed by seed, so that the comparison is paired, and has the
interval of `statistics.difference`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from factory.analysis import statistics
from factory.analysis.cells import Matrix, Mode
from factory.analysis.comparison import Comparison
from factory.analysis.shares import declared, share_table
from factory.analysis.statistics import Array, Estimate

ACCURACY = "accuracy"


@dataclass(frozen=True, slots=True)
class Contrast(Comparison):
    """One contrast on one benchmark.

    Attributes:
        name: of the contrast.
        measure: `accuracy`, or a share that the benchmark declares.
        estimate: the weighted sum of the variants; None where a cell is missing.
        p_adjusted: Holm-adjusted over all contrasts, measures and benchmarks of this mode.
    """

    name: str
    measure: str
    benchmark: str
    mode: Mode
    estimate: Estimate | None
    p_adjusted: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "contrast": self.name,
            "measure": self.measure,
            "benchmark": self.benchmark,
            "mode": self.mode,
            **self.numbers(),
        }


def contrasts(matrix: Matrix, asked: Mapping[str, Mapping[str, float]], mode: Mode) -> list[Contrast]:
    """Every contrast on every benchmark, of the accuracy and of each share that is declared.

    Args:
        asked: by the contrast's name, the variants' weights.
    """
    measures = [ACCURACY, *declared(matrix)] if asked else []
    tables = {
        (variant, benchmark, measure): _table(matrix, variant, benchmark, measure, mode)
        for measure in measures
        for benchmark in matrix.benchmarks
        for variant in dict.fromkeys(variant for weights in asked.values() for variant in weights)
    }
    found = [
        Contrast(
            name, measure, benchmark, mode, _estimate({v: tables[v, benchmark, measure] for v in weights}, weights)
        )
        for name, weights in asked.items()
        for measure in measures
        for benchmark in matrix.benchmarks
    ]
    adjusted = iter(statistics.holm([p for one in found if (p := _p(one)) is not None]))
    return [one if _p(one) is None else replace(one, p_adjusted=next(adjusted)) for one in found]


def _p(one: Contrast) -> float | None:
    return one.estimate.p if one.estimate else None


Column = dict[tuple[str, int], float]
"""A value for each item and seed."""


def _table(matrix: Matrix, variant: str, benchmark: str, measure: str, mode: Mode) -> Column:
    if measure != ACCURACY:
        return share_table(matrix, variant, benchmark, measure, mode)
    return {
        (item, cell.seed): value
        for cell in matrix.at(variant, benchmark)
        for item, value in cell.item_means(mode).items()
    }


def _estimate(columns: Mapping[str, Column], weights: Mapping[str, float]) -> Estimate | None:
    """The weighted sum on the items and seeds that all variants have."""
    shared = set.intersection(*(set(column) for column in columns.values()))
    places = [place for place in next(iter(columns.values())) if place in shared]
    items, seeds = (list(dict.fromkeys(place[i] for place in places)) for i in (0, 1))
    if not places:
        return None
    total: Array = np.full((len(items), len(seeds)), np.nan)
    for item, seed in places:
        value = sum(weight * columns[variant][item, seed] for variant, weight in weights.items())
        total[items.index(item), seeds.index(seed)] = value
    return statistics.difference(np.zeros_like(total), total)
