"""Iso-CTS: as Iso-C, but the weakest common directions make room for those that only one task has."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.parameters import WEIGHT
from factory.merging.spaces import stack
from factory.merging.subspaces import as_factors, components, polar, weighted
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="Marczak et al. 2025, No Task Left Behind (arXiv 2502.04959), Iso-CTS",
    space="factors",
    parameters={
        "weight": WEIGHT,
        "common": Parameter(0.8, low=0, high=1),
        "lambda": Parameter(1.0),
    },
    identity=None,
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """lambda * mean(S) * U_o V_o^T.

    Of the r components of sum_t w_t D_t the first `common` * r stay. The rest is shared out: each task gives the first
    components of what it has outside the common output directions, (I - U_c U_c^T) w_t D_t. All are made orthogonal
    together and get the mean of their singular values. r is the rank of the sum, as in Iso-C.
    """
    import torch

    parts = weighted(inputs, settings)
    if not parts:
        return Factors.zero(inputs[0].shape)
    whole = components(stack(parts, [1.0] * len(parts)))
    rank, tasks = len(whole.S), len(parts)
    each = min(round((rank - int(rank * settings.number("common"))) / tasks), rank // tasks)
    common = whole.top(rank - each * tasks)
    chosen = [common]
    for part in parts if each else []:
        B = part.lora_B.double()
        outside = Factors(part.lora_A, (B - common.U @ (common.U.T @ B)).float())
        left = components(outside)
        # What is left of a task that lies in the common directions is rounding and no direction of its own.
        floor = 1e-5 * float(components(part).S[0])
        chosen.append(left.top(min(each, int(left.S.gt(floor).sum()))))
    U = polar(torch.cat([item.U for item in chosen], dim=1))
    V = polar(torch.cat([item.Vh.T for item in chosen], dim=1))
    S = torch.cat([item.S for item in chosen])
    merged = as_factors(U, S.mean().expand_as(S), V.T)
    return Factors(merged.lora_A, merged.lora_B * settings.number("lambda"))
