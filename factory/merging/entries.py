"""The runner of entrywise methods: updates are there tile by tile, and a method is a rule for one tile of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from factory.merging.order import nth_largest_entry
from factory.merging.tiles import Buffers, tile_of, tiles
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

Rule = Callable[[list["torch.Tensor"]], "torch.Tensor"]


@dataclass(frozen=True, slots=True)
class Band:
    """The magnitudes of an update that stay, both ends included, and what they are multiplied by."""

    low: float = 0.0
    high: float = math.inf
    gain: float = 1.0

    def keep(self, tile: torch.Tensor) -> torch.Tensor:
        """The tile without the entries outside; may be the same memory. Entries equal to an end are all kept: the
        order of the entries does not matter."""
        import numpy as np
        import torch

        if self.low > 0:
            # hardshrink zeroes |x| <= lambda in one vectorised pass; just below the end keeps the end itself.
            tile = torch.nn.functional.hardshrink(tile, float(np.nextafter(np.float32(self.low), np.float32(0))))
        if self.high < math.inf:
            tile = tile.masked_fill(tile.abs() > self.high, 0)
        return tile if self.gain == 1 else tile * self.gain


def largest(factors: Factors, density: float, *, rescale: bool = False) -> Band:
    """The band of the `density` share of all entries with the largest magnitude, exactly, at least one entry.

    Args:
        rescale: give what stays the L1 norm that all had, as mergekit does.
    """
    entries = factors.shape[0] * factors.shape[1]
    keep = max(1, int(density * entries))
    band = Band() if keep >= entries else Band(nth_largest_entry(factors, keep))
    return rescaled(factors, band) if rescale else band


def without_outliers(factors: Factors, density: float, gamma: float, *, rescale: bool = False) -> Band:
    """The band of a `density` share of the entries below the `gamma` share with the largest magnitude.

    Fewer outliers go where the density would not be left otherwise; an empty band where the density is less than one
    entry. mergekit's `magnitude_outliers`.
    """
    entries = factors.shape[0] * factors.shape[1]
    keep = int(density * entries)
    below = max(0, entries - keep - int(gamma * entries))
    if density >= 1:
        return Band()
    if keep == 0:
        return Band(math.inf, 0.0, 0.0)
    band = Band(nth_largest_entry(factors, entries - below), nth_largest_entry(factors, entries - below - keep + 1))
    return rescaled(factors, band) if rescale else band


def rescaled(factors: Factors, band: Band) -> Band:
    """The band with the gain that gives what stays the L1 norm that all had."""
    before = after = 0.0
    buffers = Buffers(1)
    for tile in tiles(factors.shape):
        values = tile_of(factors, tile, buffers[0, tile])
        before += float(values.abs().sum())
        after += float(band.keep(values).abs().sum())
    return Band(band.low, band.high, before / after if before > 0 and after > 0 else 1.0)


def by_tiles(inputs: Sequence[Factors], rule: Rule, bands: Sequence[Band] | None = None) -> torch.Tensor:
    """The dense merged update, from a rule for one tile.

    Args:
        inputs: updates of one module.
        rule: one (rows, columns) tile of each input, free to be overwritten, to that of the result.
        bands: what stays of each input before the rule sees it.

    Returns:
        (d_out, d_in), fp32.
    """
    import torch

    buffers, merged = Buffers(len(inputs)), torch.empty(inputs[0].shape)
    chosen = bands or [Band()] * len(inputs)
    for tile in tiles(inputs[0].shape):
        parts = [tile_of(item, tile, buffers[number, tile]) for number, item in enumerate(inputs)]
        merged[tile] = rule([band.keep(part) for band, part in zip(chosen, parts, strict=True)])
    return merged


def weighted_sum(weights: Sequence[float]) -> Rule:
    """The rule sum_i w_i d_i."""

    def rule(parts: list[torch.Tensor]) -> torch.Tensor:
        total = parts[0] * weights[0]
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            total.add_(part, alpha=weight)
        return total

    return rule
