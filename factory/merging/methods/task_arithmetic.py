"""Task arithmetic: the sum of the updates with weights as given, exact."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.parameters import WEIGHT
from factory.merging.spaces import stack
from factory.merging.weights import effective_weights
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="Ilharco et al. 2022, Editing Models with Task Arithmetic (arXiv 2212.04089)",
    space="factors",
    parameters={
        "weight": WEIGHT,
        "normalize": Parameter(False),
        "lambda": Parameter(1.0),
        "int8_mask": Parameter(False),
    },
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """lambda * sum_i w_i D_i, with the weights divided by their sum if `normalize`; rank is the sum of the ranks."""
    return stack(inputs, effective_weights(settings))
