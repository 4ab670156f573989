"""Calibrations: what is done to the inputs before any method merges them, and to the size of its result.

One file in `calibrations/` is one calibration, with three names: PAPER, `before(inputs)` and `size(inputs)`. A recipe
names it (`calibration: pico`); mergekit has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from factory.core import discover
from factory.merging.contract import Settings
from factory.merging.spaces import Fit
from factory.store.factors import Factors

PACKAGE = "factory.merging.calibrations"


class Calibration(Protocol):
    """A file of `calibrations/`, as a module."""

    PAPER: str

    @staticmethod
    def before(inputs: Sequence[Factors]) -> list[Factors]:
        """What the method merges instead of these updates of one module, none of them zero."""

    @staticmethod
    def size(inputs: Sequence[Factors]) -> float | None:
        """The Frobenius norm that the merged update gets, from the updates as they were; None leaves it."""


def load_calibration(name: str, where: str = "") -> Calibration:
    """Import one calibration by name.

    Raises:
        UnknownName: no such calibration; the nearest is suggested.
    """
    return discover.load(PACKAGE, name, kind="calibration", where=where)  # type: ignore[return-value]


def calibrated(
    name: str | None, inputs: Sequence[Factors], settings: Settings
) -> tuple[Sequence[Factors], float | None]:
    """The inputs as a method gets them, and the norm its result is to have.

    Inputs without an update of this module, or with weight 0, are no part of it.
    """
    if name is None:
        return inputs, None
    rule = load_calibration(name)
    weights = settings.each.get("weight", [1.0] * len(inputs))
    parts = [
        i
        for i, (item, weight) in enumerate(zip(inputs, weights, strict=True))
        if weight and item.rank and item.lora_A.any() and item.lora_B.any()
    ]
    own = [inputs[i] for i in parts]
    if not own:
        return inputs, None
    changed = list(inputs)
    for i, item in zip(parts, rule.before(own), strict=True):
        changed[i] = item
    return changed, rule.size(own)


def resized(fit: Fit, size: float | None) -> Fit:
    """A result scaled so that what was merged, before it was brought to its rank, has this norm."""
    if size is None or not fit.energy:
        return fit
    gain = size / fit.energy**0.5
    factors = Factors(fit.factors.lora_A, fit.factors.lora_B * gain)
    return Fit(factors, fit.energy * gain**2, fit.lost * gain**2)
