"""SCE: select the entries where the updates vary most, calculate a weight for each update, erase minority signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.entries import by_tiles
from factory.merging.grams import Grams
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Wan et al. 2024, FuseChat (arXiv 2408.07990), SCE, with mergekit's conventions",
    space="delta",
    parameters={
        "select_topk": Parameter(1.0, low=0, high=1),
        "int8_mask": Parameter(False),
    },
    identity={"select_topk": 1.0},
    mergekit_differs="mergekit weighs inputs alike whose mean squares sum to less than 1e-6, as those of RL updates do",
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """sum_i m_i D_i / sum_i m_i over the inputs that agree with the sign of their selected sum.

    The selected entries are the `select_topk` share of those whose variance over the inputs is not 0. m_i is the share
    of ||D_i||^2 in the sum of all, whatever its scale; on selected entries, as in mergekit.
    """
    import torch

    limit = 0.0
    share = settings.number("select_topk")
    if share < 1:
        variance = by_tiles(inputs, lambda parts: torch.stack(parts).var(dim=0, unbiased=False))
        count = int(int(torch.count_nonzero(variance)) * share)
        if count == 0:
            return torch.zeros(inputs[0].shape)
        flat = variance.flatten()
        limit = float(flat.kthvalue(len(flat) - count + 1).values)

    def select(parts: list[torch.Tensor]) -> torch.Tensor:
        stacked = torch.stack(parts)
        return stacked * (stacked.var(dim=0, unbiased=False) >= limit) if limit else stacked

    energies = torch.tensor([Grams.of(item).energy for item in inputs], dtype=torch.float64)
    if limit:
        energies = torch.zeros(len(inputs), dtype=torch.float64)

        def add(parts: list[torch.Tensor]) -> torch.Tensor:
            energies.add_(select(parts).double().square().sum(dim=(1, 2)))
            return parts[0]

        by_tiles(inputs, add)
    total = float(energies.sum())
    masses = (energies / total if total else torch.full_like(energies, 1 / len(inputs))).float().reshape(-1, 1, 1)

    def combine(parts: list[torch.Tensor]) -> torch.Tensor:
        stacked = select(parts)
        sign = torch.where(stacked.sum(dim=0) >= 0, 1.0, -1.0)
        agreeing = masses * (stacked.sign() == sign)
        return (stacked * agreeing).sum(dim=0) / agreeing.sum(dim=0).clamp(min=1e-6)

    return by_tiles(inputs, combine)
