"""DARE-TIES: drop parts of each update at random, rescale, then elect signs as TIES does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from factory.merging.contract import Settings
from factory.merging.dropping import election_of_kept
from factory.merging.methods import dare_linear
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = replace(
    dare_linear.CONTRACT,
    paper="Yu et al. 2023 (arXiv 2311.03099) with the sign election of Yadav et al. 2023 (arXiv 2306.01708)",
    space="delta",
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """lambda * sum of the w_i drop(D_i) that agree with the elected sign, entry by entry."""
    return election_of_kept(inputs, settings)
