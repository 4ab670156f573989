"""Model Breadcrumbs with TIES' election: drop the largest and the smallest entries, then elect a sign for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.consensus import elect
from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.entries import by_tiles, without_outliers
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Davari and Belilovsky 2023, Model Breadcrumbs (arXiv 2312.06795), with mergekit's conventions",
    space="delta",
    parameters={
        "weight": Parameter(1.0, each=True),
        "density": Parameter(1.0, each=True, low=0, high=1, above=True),
        "gamma": Parameter(0.01, each=True, low=0, high=1, below=True),
        "normalize": Parameter(False),
        "rescale": Parameter(False),
        "lambda": Parameter(1.0),
        "int8_mask": Parameter(False),
    },
    identity={"density": 1.0},
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """lambda * sum of the w_i band(D_i) that agree with the elected sign.

    A band is the `density` share of the entries just below the `gamma` share with the largest magnitude; `rescale`
    gives it the L1 norm of the whole update.
    """
    rescale = bool(settings.shared["rescale"])
    shares = zip(inputs, settings.each["density"], settings.each["gamma"], strict=True)
    bands = [without_outliers(f, density, gamma, rescale=rescale) for f, density, gamma in shares]
    return by_tiles(inputs, lambda parts: elect(parts, settings), bands)
