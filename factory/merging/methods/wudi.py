"""WUDI: the update that disturbs every task least on what that task's own update reacts to, found without data."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.parameters import WEIGHT
from factory.merging.spaces import stack
from factory.merging.subspaces import components, span, weighted
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="Cheng et al. 2025, Whoever Started the Interference Should End It (arXiv 2503.08099)",
    space="factors",
    parameters={"weight": WEIGHT, "lambda": Parameter(1.0)},
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """lambda times the D that minimises sum_t ||(D - w_t D_t) D_t^T||^2 / ||D_t||^2.

    The paper descends by Adam from sum_t D_t. The minimum is known: D (sum_t G_t) = sum_t D_t G_t with
    G_t = D_t^T D_t / ||D_t||^2, so D = sum_t D_t G_t (sum_t G_t)^+, which lies, as the descent does, within the inputs'
    own rows. Solved there, k x k with k the sum of the ranks.
    """
    import torch

    parts = weighted(inputs, settings)
    if not parts:
        return Factors.zero(inputs[0].shape)
    tasks = [components(part) for part in parts]
    rows, _ = span([task.Vh.T for task in tasks])
    coordinates = [task.Vh @ rows for task in tasks]
    grams = [
        C.T @ (task.S.square()[:, None] * C) / task.S.square().sum() for task, C in zip(tasks, coordinates, strict=True)
    ]
    inverse = torch.linalg.pinv(torch.stack(grams).sum(dim=0), rtol=1e-13, hermitian=True)
    solved = []
    for task, C, G in zip(tasks, coordinates, grams, strict=True):
        root = task.S.sqrt()
        lora_A = (root[:, None] * (C @ G @ inverse)) @ rows.T
        solved.append(Factors(lora_A.float(), (task.U * root).float()))
    return stack(solved, [settings.number("lambda")] * len(solved))
