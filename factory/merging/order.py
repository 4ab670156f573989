"""Exact order statistics of very many numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from factory.merging.tiles import HEIGHT, WIDTH, Buffers, tile_of, tiles
from factory.store.factors import Factors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Entries = NDArray[np.float32]

_SAMPLE = 2**16
_DEVIATIONS = 6


def nth_largest_entry(factors: Factors, n: int) -> float:
    """The n-th largest magnitude (from 1) among all entries of an update, exactly, without the dense update.

    A sample brackets it and one pass over all entries counts what lies above, so that only the bracket is kept and
    sorted: 68M entries take 0.1 s and 10 MB. A sampled threshold alone would miss the rank by up to 2.4 %.
    """
    import numpy as np
    import torch

    d_out, d_in = factors.shape
    total = d_out * d_in
    if total <= 4 * _SAMPLE:
        return _nth_largest([(factors.lora_B @ factors.lora_A).abs_().numpy().ravel()], n)
    generator = torch.Generator().manual_seed(0)  # decides how long it takes, never the result
    rows = torch.randint(0, d_out, (_SAMPLE,), generator=generator)
    columns = torch.randint(0, d_in, (_SAMPLE,), generator=generator)
    drawn = (factors.lora_B[rows] * factors.lora_A.T[columns]).sum(1).abs_().numpy()
    middle, spread = (1 - n / total) * (_SAMPLE - 1), _DEVIATIONS * 0.5 * _SAMPLE**0.5
    first, last = max(0, int(middle - spread)), min(_SAMPLE - 1, int(middle + spread))
    drawn = np.partition(drawn, (first, last))
    low = float(drawn[first]) if first > 0 else 0.0
    high = float(drawn[last]) if last < _SAMPLE - 1 else math.inf
    above, bracket = _between(factors, low, high)
    if n <= above:
        low, high = high, math.inf
        above, bracket = _between(factors, low, high)
    elif n > above + sum(map(len, bracket)):
        low, high = 0.0, low
        above, bracket = _between(factors, low, high)
    return _nth_largest(bracket, n - above)


def _between(factors: Factors, low: float, high: float) -> tuple[int, list[Entries]]:
    """How many magnitudes are above `high`, and those in [low, high]."""
    import numpy as np

    # NumPy: its comparisons into bits are six times faster than torch's here.
    buffers, above, found = Buffers(1), 0, []
    masks = np.empty((2, HEIGHT * WIDTH), dtype=bool)
    for tile in tiles(factors.shape):
        values = tile_of(factors, tile, buffers[0, tile]).abs_().numpy().ravel()
        over, inside = masks[0, : len(values)], masks[1, : len(values)]
        above += int(np.count_nonzero(np.greater(values, high, out=over)))
        np.greater_equal(values, low, out=inside)
        inside ^= over
        found.append(values[np.flatnonzero(inside)])
    return above, found


def _nth_largest(parts: list[Entries], n: int) -> float:
    import numpy as np

    values = np.concatenate(parts)
    return float(np.partition(values, len(values) - n)[len(values) - n])
