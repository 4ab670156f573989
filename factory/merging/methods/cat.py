"""PEFT's `cat`: factors side by side with weights as given, the exact weighted sum at the sum of the ranks."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Settings
from factory.merging.parameters import WEIGHT
from factory.merging.spaces import stack
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="PEFT, add_weighted_adapter(combination_type='cat'); the sum is task arithmetic's (arXiv 2212.04089)",
    space="factors",
    parameters={"weight": WEIGHT},
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """sum_i w_i D_i."""
    return stack(inputs, settings.each["weight"])
