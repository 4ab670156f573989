"""TIES: trim each update to its largest entries, elect a sign for each entry, average those that agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.consensus import elect
from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.order import nth_largest_entry
from factory.merging.tiles import Buffers, tile_of, tiles
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Yadav et al. 2023, TIES-Merging (arXiv 2306.01708), with mergekit's conventions",
    space="delta",
    parameters={
        "weight": Parameter(1.0, each=True),
        "density": Parameter(1.0, each=True, low=0, high=1, above=True),
        "normalize": Parameter(True),
        "lambda": Parameter(1.0),
        "int8_mask": Parameter(False),  # saves memory in mergekit; our masks are bits already
    },
    identity={"density": 1.0},
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """lambda * sum of the agreeing w_i trim(D_i), divided by the sum of the agreeing w_i if `normalize`."""
    import torch

    densities = settings.each["density"]
    limits = [threshold(item, density) for item, density in zip(inputs, densities, strict=True)]
    buffers, merged = Buffers(len(inputs)), torch.empty(inputs[0].shape)
    for tile in tiles(inputs[0].shape):
        kept = [
            trim(tile_of(item, tile, buffers[i, tile]), limit)
            for i, (item, limit) in enumerate(zip(inputs, limits, strict=True))
        ]
        merged[tile] = elect(kept, settings)
    return merged


def threshold(factors: Factors, density: float) -> float:
    """The exact magnitude of the smallest entry that is kept when the `density` share of all is, at least one."""
    entries = factors.shape[0] * factors.shape[1]
    keep = max(1, int(density * entries))
    return 0.0 if keep >= entries else nth_largest_entry(factors, keep)


def trim(delta: torch.Tensor, limit: float) -> torch.Tensor:
    """Zero the entries below the limit. Those equal to it are all kept: the order of the entries does not matter."""
    import numpy as np
    import torch

    if limit == 0:
        return delta
    # hardshrink zeroes |x| <= lambda in one vectorised pass; the number just below the limit keeps the limit itself.
    return torch.nn.functional.hardshrink(delta, float(np.nextafter(np.float32(limit), np.float32(0))))
