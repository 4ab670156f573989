"""Means over seeds: the unit is a whole training, so an interval holds the luck of training and nothing less.

Student's t on one value a seed, and on paired differences where two adapters share their seeds, as Colas, Sigaud &
Oudeyer 2019 ("A Hitchhiker's Guide to Statistical Comparisons of Reinforcement Learning Algorithms", arXiv 1904.06979)
recommend for few seeds; a bootstrap of three values has three values to draw from and is far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class SeedMean:
    """A mean over seeds with its 95 % interval.

    Attributes:
        value: the mean, in the unit of the values.
        low, high: ends of the interval; None for one seed, which has none.
        seeds: the values, None where a seed has none.
        p: two-sided p-value against 0, for differences of two seeds or more.
    """

    value: float
    low: float | None
    high: float | None
    seeds: tuple[float | None, ...]
    p: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half the interval's length; what is shown after `±`."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, numbers to six decimals."""
        plain = {"value": self.value, "low": self.low, "high": self.high, "p": self.p}
        return {
            **{key: None if value is None else round(value, 6) for key, value in plain.items()},
            "seeds": [None if value is None else round(value, 6) for value in self.seeds],
        }


def over_seeds(values: Sequence[float | None], *, items: int | None = None, test: bool = False) -> SeedMean | None:
    """The mean of one value a seed; None if no seed has one.

    Args:
        items: behind each value; seeds that agree by chance do not make it known better than to one item of these.
        test: whether the values are differences, to be tested against 0.
    """
    from scipy.special import stdtr, stdtrit

    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not known.size:
        return None
    mean, n = float(known.mean()), len(known)
    if n == 1:
        return SeedMean(mean, None, None, tuple(values))
    se = max(float(known.std(ddof=1)), 1 / (items + 2) if items is not None else 0.0) / math.sqrt(n)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * se
    p = float(2 * stdtr(n - 1, -abs(mean) / se)) if test and se else None
    return SeedMean(mean, mean - half, mean + half, tuple(values), p)


def paired(ours: Sequence[float | None], theirs: Sequence[float | None]) -> list[float | None]:
    """Differences seed by seed; None where one of the two is missing."""
    return [None if a is None or b is None else a - b for a, b in zip(ours, theirs, strict=True)]


def median_reached(values: Sequence[float | None]) -> float | None:
    """The median of times of which some were never reached (None counts as later than any); None if it was not."""
    later = sorted(math.inf if value is None else value for value in values)
    if not later:
        return None
    middle = (later[(len(later) - 1) // 2] + later[len(later) // 2]) / 2
    return middle if math.isfinite(middle) else None
