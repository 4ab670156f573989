"""TIES: trim each update to its largest entries, elect a sign for each entry, average those that agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.consensus import elect
from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.entries import by_tiles, largest
from factory.merging.parameters import DENSITY, WEIGHT
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Yadav et al. 2023, TIES-Merging (arXiv 2306.01708), with mergekit's conventions",
    space="delta",
    parameters={
        "weight": WEIGHT,
        "density": DENSITY,
        "normalize": Parameter(True),
        "rescale": Parameter(False),
        "lambda": Parameter(1.0),
        "int8_mask": Parameter(False),  # saves memory in mergekit; our masks are bits already
    },
    identity={"density": 1.0},
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """lambda * sum of the agreeing w_i trim(D_i), divided by the sum of the agreeing w_i if `normalize`.

    `rescale` gives each trimmed update the L1 norm it had.
    """
    rescale = bool(settings.shared.get("rescale", False))
    bands = [largest(f, density, rescale=rescale) for f, density in zip(inputs, settings.each["density"], strict=True)]
    return by_tiles(inputs, lambda parts: elect(parts, settings), bands)
