"""Singular components of updates and the spans they share, for methods that work there and not on entries.

Everything is fp64 and is computed from the factors; nothing of shape (d_out, d_in) is made. Only singular components
are used, never raw lora_A or lora_B: (B G, G^-1 A) is the same update for every invertible G.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from factory.merging.contract import Settings
from factory.merging.spaces import decompose
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

# Directions this far below the strongest are the rounding noise of fp32 factors.
_NOISE = 1e-6


@dataclass(frozen=True, slots=True)
class Components:
    """A thin singular value decomposition without its noise.

    Attributes:
        U: (d_out, m), orthonormal columns.
        S: (m,), falling.
        Vh: (m, d_in), orthonormal rows.
    """

    U: torch.Tensor
    S: torch.Tensor
    Vh: torch.Tensor

    def top(self, count: int) -> Components:
        """The `count` strongest, or all there are."""
        return Components(self.U[:, :count], self.S[:count], self.Vh[:count])


def present(inputs: Sequence[Factors], settings: Settings) -> tuple[list[Factors], Settings]:
    """The inputs that are a task here: those that change this module and have a weight; and the settings for them."""
    weights = settings.each.get("weight", [1.0] * len(inputs))
    kept = [i for i, (item, weight) in enumerate(zip(inputs, weights, strict=True)) if item.rank and weight]
    each = {name: [values[i] for i in kept] for name, values in settings.each.items()}
    seeds = [settings.seeds[i] for i in kept] if settings.seeds else []
    return [inputs[i] for i in kept], Settings(settings.shared, each, seeds, settings.dense)


def weighted(inputs: Sequence[Factors], settings: Settings) -> list[Factors]:
    """w_i D_i of the inputs that are `present`, and not zero."""
    parts, own = present(inputs, settings)
    scaled = [Factors(f.lora_A, f.lora_B * w) for f, w in zip(parts, own.each["weight"], strict=True)]
    return [part for part in scaled if part.lora_A.any() and part.lora_B.any()]


def components(factors: Factors) -> Components:
    """The singular components of an update, fp64."""
    U, S, Vh = decompose(factors)
    keep = int(S.gt(S[:1] * _NOISE).sum())
    return Components(U[:, :keep], S[:keep], Vh[:keep])


def as_factors(U: torch.Tensor, S: torch.Tensor, Vh: torch.Tensor) -> Factors:
    """U diag(S) Vh in fp32, S (not negative) split evenly over both sides."""
    root = S.sqrt()
    return Factors((root[:, None] * Vh).float().contiguous(), (U * root).float().contiguous())


def span(columns: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The left singular vectors (d, k) and values (k,) of matrices (d, m_i) side by side, without noise."""
    import torch

    U, S, _ = torch.linalg.svd(torch.cat(list(columns), dim=1), full_matrices=False)
    keep = int(S.gt(S[:1] * _NOISE).sum())
    return U[:, :keep], S[:keep]


def polar(columns: torch.Tensor) -> torch.Tensor:
    """The nearest matrix with orthonormal columns (orthogonal Procrustes), (d, m).

    Columns that depend on one another share their directions: what has no direction of its own gets none, where a
    plain `P Q^T` would take an arbitrary one.
    """
    import torch

    P, S, Qh = torch.linalg.svd(columns, full_matrices=False)
    keep = int(S.gt(S[:1] * _NOISE).sum())
    nearest: torch.Tensor = P[:, :keep] @ Qh[:keep]
    return nearest


def within(inputs: Sequence[Factors], left: torch.Tensor, right: torch.Tensor) -> list[Factors]:
    """left^T D_i right of every input, as small dense updates that any method's kernel takes.

    Args:
        left: (d_out, k), right: (d_in, l); orthonormal columns.
    """
    import torch

    eye = torch.eye(right.shape[1])
    return [Factors(eye, ((left.T @ f.lora_B.double()) @ (f.lora_A.double() @ right)).float()) for f in inputs]


def back(merged: Factors | torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> Factors:
    """left M right^T of a merged small update, as factors."""
    if isinstance(merged, Factors):
        return Factors(merged.lora_A @ right.T.float(), left.float() @ merged.lora_B)
    return Factors(right.T.float().contiguous(), left.float() @ merged)
