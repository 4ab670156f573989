"""Between factors and dense updates, and down to a rank: what each step keeps is measured in fp64.

Every decomposition gives `U sqrt(S)` and `sqrt(S) V^T`: split evenly, the factors have one scale and fp16 stays
accurate (2.9e-4 relative, against 9.5e-4 when one side takes all of S).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from factory.core.ranks import Rank, energy_of
from factory.merging.grams import Grams, gram
from factory.merging.tiles import tiles
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

# A dense SVD in fp64 takes about a second at this smaller dimension; above it a randomised one is used.
_DENSE_LIMIT = 1024
# Even below it, where the rank is this many times smaller than the dimension.
_RANDOMISED_FROM = 16
_OVERSAMPLE = 8
_BLOCK_ENTRIES = 2**22
# Singular values below this share of the largest are the rounding noise of fp32 inputs.
_NOISE = 2e-7


@dataclass(frozen=True, slots=True)
class Fit:
    """Factors of a chosen rank and what they lost.

    Attributes:
        factors: the result.
        energy: ||D||_F^2 of what was asked for.
        lost: ||D - result||_F^2.
    """

    factors: Factors
    energy: float
    lost: float


def stack(inputs: Sequence[Factors], weights: Sequence[float]) -> Factors:
    """sum_i w_i D_i without any error: B = [w_1 B_1, ...] (d_out, k), A = [A_1; ...] (k, d_in), k the sum of ranks."""
    import torch

    pairs = list(zip(inputs, weights, strict=True))
    return Factors(torch.cat([f.lora_A for f, _ in pairs]), torch.cat([f.lora_B * w for f, w in pairs], dim=1))


def row_blocks(shape: tuple[int, int]) -> list[slice]:
    """Rows of a (d_out, d_in) update in blocks of about 4M entries, so that a dense method never holds much at once."""
    d_out, d_in = shape
    height = max(1, _BLOCK_ENTRIES // d_in)
    return [slice(start, start + height) for start in range(0, d_out, height)]


def decompose(factors: Factors) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Thin SVD of the update from its factors, fp64: U (d_out, m), S (m,), Vh (m, d_in), m at most the rank.

    QR of both factors leaves a small core whose SVD is that of the update; no dense matrix is made. QR and not Gram
    matrices: those square the condition number.
    """
    import torch

    q_out, r_out = torch.linalg.qr(factors.lora_B.double())
    q_in, r_in = torch.linalg.qr(factors.lora_A.double().T)
    U, S, Vh = torch.linalg.svd(r_out @ r_in.T, full_matrices=False)
    return q_out @ U, S, Vh @ q_in.T


def balanced(factors: Factors) -> Factors:
    """The same update in its singular components, S split evenly over both sides."""
    return _split(*_numerical(*decompose(factors)))


def fit_factors(factors: Factors, rank: Rank) -> Fit:
    """Bring factors to a rank: `full` leaves them alone, `auto` keeps a share of the energy, N keeps the best N.

    By Eckart and Young the singular values give the exact loss. Fewer than N where the update has a lower rank.
    """
    grams = Grams.of(factors)
    if rank == "full" and factors.rank:
        return Fit(factors, grams.energy, 0.0)
    S, left, right = grams.decompose()
    energy = float(S.square().sum())
    keep = _choose(S, energy, rank)
    lost = float(S[keep:].square().sum())
    if not grams.resolve(S[:keep]):
        U, S, Vh = decompose(factors)
        keep = _choose(S, energy, rank)
        return Fit(_split(U[:, :keep], S[:keep], Vh[:keep]), float(S.square().sum()), float(S[keep:].square().sum()))
    # U = B left, so that both sides are one product with the factors in their own dtype.
    root = S[:keep].sqrt()
    lora_A = (root[:, None] * right[:keep]).float() @ factors.lora_A
    return Fit(Factors(lora_A, factors.lora_B @ (left[:, :keep] * root).float()), energy, lost)


def fit_dense(delta: torch.Tensor, rank: Rank, span: torch.Tensor, seed: int) -> Fit:
    """Bring a dense update to factors of a rank.

    Args:
        delta: (d_out, d_in).
        rank: as for `fit_factors`; `full` is lossless, up to the smaller dimension.
        span: (k, d_in), the stacked lora_A of the inputs: where a merge of them has most of its energy, and so the
            start of the randomised SVD (Halko, Martinsson and Tropp 2011) of large modules.
        seed: of its random columns.
    """
    import torch

    smaller = min(delta.shape)
    if smaller <= _DENSE_LIMIT and not (isinstance(rank, int) and smaller >= _RANDOMISED_FROM * rank):
        U, S, Vh = torch.linalg.svd(delta.double(), full_matrices=False)
    elif rank == "full":
        return _as_it_is(delta)
    elif isinstance(rank, str):
        U, S, Vh = _by_gram(delta)
    else:
        U, S, Vh = _randomised(delta, min(rank, smaller), span, seed)
    # The norm of the update itself, not of the part that was found.
    energy = squared_norm(delta)
    keep = _choose(S, energy, rank)
    kept = float(S[:keep].square().sum())
    return Fit(_split(U[:, :keep], S[:keep], Vh[:keep]), energy, max(energy - kept, 0.0))


def squared_norm(delta: torch.Tensor) -> float:
    """||D||_F^2 in fp64: in fp32 it is off by 5e-3 at 68M entries, and what is lost is a difference of two of these."""
    return sum(float(delta[tile].double().square_().sum()) for tile in tiles((delta.shape[0], delta.shape[1])))


def _choose(S: torch.Tensor, energy: float, rank: Rank) -> int:
    """How many singular values to keep: at least one, none that is only rounding noise."""
    numerical = max(1, int(S.gt(S[:1] * _NOISE).sum()))
    if rank == "full":
        return numerical
    if isinstance(rank, str):
        below = int((S.square().cumsum(0) < (energy_of(rank) or 1.0) * energy).sum())
        return min(below + 1, numerical)
    return min(rank, numerical)


def _numerical(U: torch.Tensor, S: torch.Tensor, Vh: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    keep = _choose(S, 0.0, "full")
    return U[:, :keep], S[:keep], Vh[:keep]


def _split(U: torch.Tensor, S: torch.Tensor, Vh: torch.Tensor) -> Factors:
    import torch

    if not len(S):  # an update without any component still needs one to be written
        return Factors(torch.zeros(1, Vh.shape[1]), torch.zeros(U.shape[0], 1))
    root = S.sqrt()
    return Factors((root[:, None] * Vh).float().contiguous(), (U * root).float().contiguous())


def _as_it_is(delta: torch.Tensor) -> Fit:
    """Lossless and without a decomposition: one factor is the update, the other the identity."""
    import torch

    d_out, d_in = delta.shape
    pair = Factors(torch.eye(d_in), delta) if d_in <= d_out else Factors(delta, torch.eye(d_out))
    return Fit(pair, squared_norm(delta), 0.0)


def _by_gram(delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """SVD by the eigenvectors of the smaller Gram matrix, fp64: values below 1e-8 of the largest are lost, which no
    share of the energy that `auto` is for ever reaches."""
    import torch

    flip = delta.shape[0] < delta.shape[1]
    tall = (delta.T if flip else delta).double()
    values, V = torch.linalg.eigh(tall.T @ tall)
    S, V = values.flip(0).clamp(min=0).sqrt(), V.flip(1)
    U = tall @ V / S.clamp(min=torch.finfo(S.dtype).tiny)
    return (V, S, U.T) if flip else (U, S, V.T)


def _randomised(
    delta: torch.Tensor, rank: int, span: torch.Tensor, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    extra = max(_OVERSAMPLE, rank + _OVERSAMPLE - len(span))
    start = torch.cat([span, torch.randn(extra, delta.shape[1], generator=generator)])
    basis = torch.linalg.qr(delta @ torch.linalg.qr(start.T).Q).Q
    # The inputs' own span needs no iteration; beyond it the spectrum is flat and random columns alone are poor.
    for _ in range(0 if 2 * rank <= len(span) else 2 if rank < len(span) else 4):
        basis = torch.linalg.qr(delta @ torch.linalg.qr(delta.T @ basis).Q).Q
    inside = basis.T @ delta
    # From its small Gram matrix in fp64: what that loses is below 1e-8 of the largest, and dropped as noise.
    values, vectors = torch.linalg.eigh(gram(inside))
    S, U = values.flip(0).clamp(min=0).sqrt(), vectors.flip(1)
    Vh = (U.T / S.clamp(min=torch.finfo(S.dtype).tiny)[:, None]).float() @ inside
    return basis @ U.float(), S, Vh
