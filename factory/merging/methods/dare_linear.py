"""DARE: drop parts of each update at random, rescale what is left, then take the weighted sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.dropping import DIFFERS, sum_of_kept
from factory.merging.parameters import DENSITY, WEIGHT
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Yu et al. 2023, Language Models are Super Mario (arXiv 2311.03099)",
    space="factors",
    parameters={
        "weight": WEIGHT,
        "density": DENSITY,
        "rescale": Parameter(True),
        "normalize": Parameter(False),
        "lambda": Parameter(1.0),
        "int8_mask": Parameter(False),
    },
    identity={"density": 1.0},
    needs_seed=True,
    mergekit_differs=DIFFERS,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors | torch.Tensor:
    """sum_i w_i drop(D_i): unbiased with `rescale`, and still exact factors."""
    return sum_of_kept(inputs, settings)
