"""Model Breadcrumbs with TIES' election: drop the largest and the smallest entries, then elect a sign for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.consensus import elect
from factory.merging.contract import Settings
from factory.merging.entries import by_tiles
from factory.merging.methods import breadcrumbs
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = breadcrumbs.CONTRACT


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """lambda * sum of the w_i band(D_i) that agree with the elected sign; the bands are those of `breadcrumbs`."""
    return by_tiles(inputs, lambda parts: elect(parts, settings), breadcrumbs.bands(inputs, settings))
