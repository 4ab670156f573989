"""The weighted sum of the updates, exact: factors are stacked, nothing is rounded away and no dense matrix is made."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.parameters import WEIGHT
from factory.merging.spaces import stack
from factory.merging.weights import effective_weights
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="Wortsman et al. 2022, Model soups (arXiv 2203.05482); on updates: Ilharco et al. 2022 (arXiv 2212.04089)",
    space="factors",
    parameters={"weight": WEIGHT, "normalize": Parameter(True)},
    weighs_base=True,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """sum_i w_i D_i, with the weights divided by their sum if `normalize`; rank is the sum of the ranks."""
    return stack(inputs, effective_weights(settings))
