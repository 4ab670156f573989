"""Iso-C: the sum of the updates with all its singular values made equal, so that no task's directions dominate."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.parameters import WEIGHT
from factory.merging.spaces import stack
from factory.merging.subspaces import as_factors, components, weighted
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="Marczak et al. 2025, No Task Left Behind (arXiv 2502.04959), Iso-C",
    space="factors",
    parameters={"weight": WEIGHT, "lambda": Parameter(1.0)},
    identity=None,
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """lambda * mean(S) * U V^T, where sum_t w_t D_t = U S V^T.

    The mean is over the components that the sum has: over all min(d_out, d_in) of them, as for full models, a LoRA's
    would be almost 0 and most directions arbitrary (Core Space, arXiv 2509.17786, flattens within the span too).
    """
    parts = weighted(inputs, settings)
    if not parts:
        return Factors.zero(inputs[0].shape)
    whole = components(stack(parts, [1.0] * len(parts)))
    merged = as_factors(whole.U, whole.S.mean().expand_as(whole.S), whole.Vh)
    return Factors(merged.lora_A, merged.lora_B * settings.number("lambda"))
