"""A dense update tile by tile: each is worked on in the processor's cache, and the inputs' are never there whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

Tile = tuple[slice, slice]
HEIGHT, WIDTH = 128, 2048


def tiles(shape: tuple[int, int]) -> Iterator[Tile]:
    """Rows and columns of a (d_out, d_in) update in tiles of at most 128 x 2048 entries (1 MiB in fp32)."""
    d_out, d_in = shape
    for top in range(0, d_out, HEIGHT):
        for left in range(0, d_in, WIDTH):
            yield slice(top, min(top + HEIGHT, d_out)), slice(left, min(left + WIDTH, d_in))


class Buffers:
    """Memory for a few tiles, reused from one tile to the next.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        import torch

        self._flat = [torch.empty(HEIGHT * WIDTH) for _ in range(count)]

    def __getitem__(self, key: tuple[int, Tile]) -> torch.Tensor:
        """Buffer `number` in the shape of a tile; what was in it stays."""
        number, (rows, columns) = key
        height, width = rows.stop - rows.start, columns.stop - columns.start
        return self._flat[number][: height * width].view(height, width)


def tile_of(factors: Factors, tile: Tile, out: torch.Tensor) -> torch.Tensor:
    """One tile of the update, written into `out`: the same bits each time it is asked for."""
    import torch

    rows, columns = tile
    return torch.mm(factors.lora_B[rows], factors.lora_A[:, columns], out=out)
