"""DELLA without the election: drop parts of each update at random, the weak ones rather than the strong, and sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from factory.merging.contract import Parameter, Settings
from factory.merging.dropping import sum_of_kept
from factory.merging.methods import della
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = replace(
    della.CONTRACT, space="factors", parameters={**della.CONTRACT.parameters, "normalize": Parameter(False)}
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors | torch.Tensor:
    """sum_i w_i drop(D_i), with the chances of `della`: unbiased with `rescale`, and still exact factors."""
    return sum_of_kept(inputs, settings)
