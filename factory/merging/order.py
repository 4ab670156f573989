"""Exact order statistics of very many numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SAMPLE = 2**20
_DEVIATIONS = 8


def nth_largest(values: torch.Tensor, n: int) -> float:
    """The n-th largest (from 1) of a flat tensor, exactly.

    A sample brackets it and one pass over all counts what lies above, so that only the bracket is sorted: 68M entries
    take 1 s instead of 2.6. A sampled threshold alone would miss the rank by up to 2.4 %.
    """
    import torch

    total = len(values)
    if total > 4 * _SAMPLE:
        generator = torch.Generator().manual_seed(0)  # decides how long it takes, never the result
        sample = values[torch.randint(0, total, (_SAMPLE,), generator=generator)].sort().values
        middle, spread = (1 - n / total) * (_SAMPLE - 1), _DEVIATIONS * 0.5 * _SAMPLE**0.5
        low = sample[max(0, int(middle - spread))]
        high = sample[min(_SAMPLE - 1, int(middle + spread))]
        above = int((values > high).sum())
        bracket = values[(values >= low) & (values <= high)]
        if above < n <= above + len(bracket):
            values, n = bracket, n - above
    return float(values.kthvalue(len(values) - n + 1).values)
