"""PEFT's `svd`: the exact weighted sum, to be brought to the rank that `--rank` names by its singular values.

PEFT decomposes the dense update, which takes minutes a module and crashes where the rank is above the smaller
dimension; the factors give the same in milliseconds. PEFT's own rank, where none is named, is the inputs' largest.
"""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Settings
from factory.merging.parameters import WEIGHT
from factory.merging.spaces import stack
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="PEFT, add_weighted_adapter(combination_type='svd'); truncation: Eckart and Young 1936",
    space="factors",
    parameters={"weight": WEIGHT},
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """sum_i w_i D_i; the runner brings it to the rank and tells what that lost."""
    return stack(inputs, settings.each["weight"])
