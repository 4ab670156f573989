"""Sign election, shared by TIES and DARE-TIES."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Settings

if TYPE_CHECKING:
    import torch


def elect(deltas: Sequence[torch.Tensor] | torch.Tensor, settings: Settings) -> torch.Tensor:
    """Elect a sign for each entry and combine the inputs that agree with it (mergekit's `consensus_method: sum`).

    The sign is that of the weighted sum, plus where it is 0. PEFT elects before weighting and divides by the count of
    agreeing inputs instead.

    Args:
        deltas: one (rows, columns) for each input, already sparsified; they are overwritten.
        settings: `weight` of each input; `normalize` divides by the sum of the agreeing weights; `lambda` scales.

    Returns:
        (rows, columns).
    """
    import torch

    weights = settings.each["weight"]
    for delta, weight in zip(deltas, weights, strict=True):
        if weight != 1:
            delta.mul_(weight)
    total = deltas[0].clone()
    for delta in deltas[1:]:
        total.add_(delta)
    # A sum of opposites is +0 and elects plus; -0 comes only of entries that are all 0, where no sign matters.
    sign = torch.copysign(torch.ones_like(total), total)
    merged, divisor = total.zero_(), torch.zeros_like(total)
    agrees = torch.empty_like(total)
    for delta, weight in zip(deltas, weights, strict=True):
        # Turned by the elected sign, what agrees is positive and what does not is cut off at 0.
        merged.add_(delta.mul_(sign).clamp_(min=0))
        if settings.shared["normalize"]:
            divisor.add_(torch.gt(delta, 0, out=agrees), alpha=weight)
    merged.mul_(sign)
    if settings.shared["normalize"]:
        # No input agrees: the sum is 0 already. Weights that cancel are left undivided, as mergekit leaves them.
        if min(weights) > 0:
            divisor.clamp_(min=min(weights))
        else:
            divisor.masked_fill_(divisor == 0, 1)
        merged.div_(divisor)
    scale = settings.number("lambda")
    return merged if scale == 1 else merged.mul_(scale)
