"""DARE-TIES: drop parts of each update at random, rescale, then elect signs as TIES does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.consensus import elect
from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.dropping import DIFFERS, drop_components, drop_entries
from factory.merging.entries import by_tiles
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Yu et al. 2023 (arXiv 2311.03099) with the sign election of Yadav et al. 2023 (arXiv 2306.01708)",
    space="delta",
    parameters={
        "weight": Parameter(1.0, each=True),
        "density": Parameter(1.0, each=True, low=0, high=1, above=True),
        "rescale": Parameter(True),
        "normalize": Parameter(False),
        "lambda": Parameter(1.0),
        "int8_mask": Parameter(False),
    },
    identity={"density": 1.0},
    needs_seed=True,
    mergekit_differs=DIFFERS,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """lambda * sum of the w_i drop(D_i) that agree with the elected sign, entry by entry."""
    if settings.dense:
        return drop_entries(inputs, settings, lambda parts: elect(parts, settings))
    return by_tiles(drop_components(inputs, settings), lambda parts: elect(parts, settings))
