"""DELLA: drop parts of each update at random, the weak ones rather than the strong, then elect signs as TIES does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.dropping import DIFFERS, election_of_kept
from factory.merging.parameters import DENSITY, WEIGHT
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Deep et al. 2024, DELLA-Merging (arXiv 2406.11617), MagPrune",
    space="delta",
    parameters={
        "weight": WEIGHT,
        "density": DENSITY,
        "epsilon": Parameter(0.15, each=True, low=0, high=0.5, below=True),
        "normalize": Parameter(True),
        "rescale": Parameter(True),
        "lambda": Parameter(1.0),
        "int8_mask": Parameter(False),
    },
    identity={"density": 1.0},
    needs_seed=True,
    mergekit_differs=DIFFERS,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """lambda * sum of the w_i drop(D_i) that agree with the elected sign.

    The chance to stay goes evenly from density - epsilon for the weakest component to density + epsilon for the
    strongest; what stays is divided by its own chance if `rescale`, so that it is right on average.
    """
    return election_of_kept(inputs, settings)
