"""Pico: output directions that several tasks write to are shrunk in each of them before the merge."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.grams import Grams
from factory.merging.subspaces import components
from factory.store.factors import Factors

PAPER = "Tang and Yang 2026, Crowded in B-Space (arXiv 2604.16826)"


def before(inputs: Sequence[Factors]) -> list[Factors]:
    """C D_i, where C divides each output direction by the number of tasks that share it; lora_A stays.

    With U_i the left singular vectors of D_i, the eigenvalues of sum_i U_i U_i^T count the tasks in each direction: 1
    where a task is alone, T where all meet. C divides by that count where it is above 1 and leaves the rest alone. The
    paper scores directions by raw lora_B, which depends on how an update is factored; its singular vectors do not.
    """
    import torch

    bases = torch.cat([components(item).U for item in inputs], dim=1)
    U, S, _ = torch.linalg.svd(bases, full_matrices=False)
    shared = S.square() > 1 + 1e-9
    U, shrink = U[:, shared], 1 - 1 / S[shared].square()
    calibrated = []
    for item in inputs:
        B = item.lora_B.double()
        calibrated.append(Factors(item.lora_A, (B - U @ (shrink[:, None] * (U.T @ B))).float()))
    return calibrated


def size(inputs: Sequence[Factors]) -> float | None:
    """The mean norm of the updates as they were."""
    norms = [Grams.of(item).energy ** 0.5 for item in inputs]
    return float(sum(norms) / len(norms))
