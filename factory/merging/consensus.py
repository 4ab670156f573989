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
    positive = weighted.sum(dim=0) >= 0
    agree = torch.where(positive, weighted > 0, weighted < 0)
    merged = (weighted * agree).sum(dim=0)
    if settings.shared["normalize"]:
        divisor = (weights * agree).sum(dim=0)
        # No input agrees: the sum is 0 already. Weights that cancel are left undivided, as mergekit leaves them.
        merged = merged / torch.where(divisor == 0, torch.ones_like(divisor), divisor)
    return merged * settings.shared["lambda"]
