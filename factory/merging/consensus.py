"""Sign election, shared by TIES and DARE-TIES."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factory.merging.contract import Settings

if TYPE_CHECKING:
    import torch


def elect(deltas: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Elect a sign for each entry and combine the inputs that agree with it (mergekit's `consensus_method: sum`).

    The sign is that of the weighted sum, plus where it is 0. PEFT elects before weighting and divides by the count of
    agreeing inputs instead.

    Args:
        deltas: (inputs, d_out, d_in), already sparsified.
        settings: `weight` of each input; `normalize` divides by the sum of the agreeing weights; `lambda` scales.

    Returns:
        (d_out, d_in).
    """
    import torch

    weights = torch.tensor(settings.each["weight"], dtype=deltas.dtype).reshape(-1, 1, 1)
    weighted = deltas * weights
    sign = (weighted.sum(dim=0) >= 0).to(deltas.dtype).mul_(2).sub_(1)
    # Turned by the elected sign, what agrees is positive and what does not is cut off at 0.
    agreeing = weighted.mul_(sign).clamp_(min=0)
    merged = agreeing.sum(dim=0).mul_(sign)
    if settings.shared["normalize"]:
        divisor = agreeing.gt_(0).mul_(weights).sum(dim=0)
        # No input agrees: the sum is 0 already. Weights that cancel are left undivided, as mergekit leaves them.
        merged.div_(divisor.masked_fill_(divisor == 0, 1))
    return merged.mul_(settings.shared["lambda"])
