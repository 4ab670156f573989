"""RAM: entries that only one update changes are kept whole, those that several change are averaged over these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Contract, Settings
from factory.merging.entries import by_tiles
from factory.merging.sparse import DIFFERS, PARAMETERS, changed, limits
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Reinforced Agent Merging (arXiv 2601.13572), RAM, as in mergekit but with a relative threshold",
    space="delta",
    parameters=PARAMETERS,
    identity={"threshold": 0.0},
    mergekit_differs=DIFFERS,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """The mean, entry by entry, of the inputs that change it: |d_i| > epsilon, or threshold * rms(D_i)."""
    import torch

    bounds = limits(inputs, settings)

    def rule(parts: list[torch.Tensor]) -> torch.Tensor:
        counts = changed(parts, bounds)
        return (torch.stack(parts) * counts).sum(dim=0) / counts.sum(dim=0).clamp(min=1)

    return by_tiles(inputs, rule)
