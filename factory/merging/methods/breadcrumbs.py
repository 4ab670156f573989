"""Model Breadcrumbs: of each update drop the largest entries and the smallest ones, then take the weighted sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.entries import Band, by_tiles, weighted_sum, without_outliers
from factory.merging.parameters import DENSITY, WEIGHT
from factory.merging.weights import effective_weights
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Davari and Belilovsky 2023, Model Breadcrumbs (arXiv 2312.06795), with mergekit's conventions",
    space="delta",
    parameters={
        "weight": WEIGHT,
        "density": DENSITY,
        "gamma": Parameter(0.01, each=True, low=0, high=1, below=True),
        "normalize": Parameter(False),
        "rescale": Parameter(False),
        "lambda": Parameter(1.0),
        "int8_mask": Parameter(False),
    },
    identity={"density": 1.0},
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """lambda * sum_i w_i band(D_i)."""
    return by_tiles(inputs, weighted_sum(effective_weights(settings)), bands(inputs, settings))


def bands(inputs: Sequence[Factors], settings: Settings) -> list[Band]:
    """The `density` share of each input's entries just below the `gamma` share with the largest magnitude.

    `rescale` gives them the L1 norm of the whole update.
    """
    rescale = bool(settings.shared["rescale"])
    shares = zip(inputs, settings.each["density"], settings.each["gamma"], strict=True)
    return [without_outliers(f, density, gamma, rescale=rescale) for f, density, gamma in shares]
