"""Magnitude pruning: of each update keep the largest entries, then take the weighted sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.entries import by_tiles, largest, weighted_sum
from factory.merging.parameters import DENSITY, WEIGHT
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="PEFT, add_weighted_adapter(combination_type='magnitude_prune_svd'); TIES without its election",
    space="delta",
    parameters={
        "weight": WEIGHT,
        "density": DENSITY,
        "rescale": Parameter(False),
    },
    identity={"density": 1.0},
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """sum_i w_i trim(D_i). On whole updates: PEFT's `magnitude_prune` prunes A and B apart, its `_svd` as here."""
    rescale = bool(settings.shared["rescale"])
    bands = [largest(f, density, rescale=rescale) for f, density in zip(inputs, settings.each["density"], strict=True)]
    return by_tiles(inputs, weighted_sum(settings.each["weight"]), bands)
