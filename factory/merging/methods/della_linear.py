"""DELLA without the election: drop parts of each update at random, the weak ones rather than the strong, and sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.dropping import DIFFERS, drop_components, drop_entries
from factory.merging.entries import weighted_sum
from factory.merging.spaces import stack
from factory.merging.weights import effective_weights
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Deep et al. 2024, DELLA-Merging (arXiv 2406.11617), MagPrune",
    space="factors",
    parameters={
        "weight": Parameter(1.0, each=True),
        "density": Parameter(1.0, each=True, low=0, high=1, above=True),
        "epsilon": Parameter(0.15, each=True, low=0, high=0.5, below=True),
        "normalize": Parameter(False),
        "rescale": Parameter(True),
        "lambda": Parameter(1.0),
        "int8_mask": Parameter(False),
    },
    identity={"density": 1.0},
    needs_seed=True,
    mergekit_differs=DIFFERS,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors | torch.Tensor:
    """sum_i w_i drop(D_i), with the chances of `della`: unbiased with `rescale`, and still exact factors."""
    weights = effective_weights(settings)
    if settings.dense:
        return drop_entries(inputs, settings, weighted_sum(weights))
    return stack(drop_components(inputs, settings), weights)
