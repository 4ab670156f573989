"""RAM+: as RAM, and entries that only one update changes are enlarged to make up for what averaging takes elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.entries import by_tiles
from factory.merging.sparse import DIFFERS, PARAMETERS, changed, limits
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Reinforced Agent Merging (arXiv 2601.13572), RAM+ tensor by tensor, as in mergekit; relative threshold",
    space="delta",
    parameters={
        "r": Parameter(0.1, low=0),
        "alpha": Parameter(0.2, low=0),
        **PARAMETERS,
    },
    identity={"threshold": 0.0},
    mergekit_differs=DIFFERS,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """RAM with the unique entries of input i times 1 + r * min(alpha, shared_i / unique_i).

    shared_i and unique_i count the entries that input i changes with others and alone.
    """
    import torch

    bounds = limits(inputs, settings)
    shared = torch.zeros(len(inputs), dtype=torch.float64)
    unique = torch.zeros(len(inputs), dtype=torch.float64)

    def count(parts: list[torch.Tensor]) -> torch.Tensor:
        counts = changed(parts, bounds)
        several = counts.sum(dim=0) > 1
        shared.add_((counts & several).sum(dim=(1, 2)))
        unique.add_((counts & ~several).sum(dim=(1, 2)))
        return parts[0]

    by_tiles(inputs, count)
    ratio = (shared / unique.clamp(min=1e-5)).clamp(max=settings.number("alpha"))
    gains = (1 + settings.number("r") * ratio).float().reshape(-1, 1, 1)

    def rule(parts: list[torch.Tensor]) -> torch.Tensor:
        counts = changed(parts, bounds)
        total = counts.sum(dim=0)
        scale = torch.where(total > 1, 1 / total.clamp(min=1), gains)
        return (torch.stack(parts) * counts * scale).sum(dim=0)

    return by_tiles(inputs, rule)
