"""TSV-M: the singular vectors of all tasks, made orthogonal to one another before they are summed."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.parameters import WEIGHT
from factory.merging.subspaces import as_factors, components, polar, weighted
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="Gargiulo et al. 2024, Task Singular Vectors (arXiv 2412.00081), TSV-Merge",
    space="factors",
    parameters={
        "weight": WEIGHT,
        "keep": Parameter(1.0, low=0, high=1, above=True),
        "lambda": Parameter(1.0),
    },
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """lambda * U_o diag(S) V_o^T.

    U = [U_1 .. U_T] and V = [V_1 .. V_T] hold the first components of each task's w_t D_t = U_t S_t V_t^T, U_o and V_o
    are the nearest matrices with orthonormal columns. The paper keeps min(d_out, d_in) / T components of each task,
    which a LoRA of lower rank has in full; `keep` takes a share of what is there.
    """
    import torch

    parts = weighted(inputs, settings)
    if not parts:
        return Factors.zero(inputs[0].shape)
    room = max(1, min(inputs[0].shape) // len(parts))
    tasks = [components(part) for part in parts]
    tasks = [task.top(min(room, max(1, round(settings.number("keep") * len(task.S))))) for task in tasks]
    U = polar(torch.cat([task.U for task in tasks], dim=1))
    V = polar(torch.cat([task.Vh.T for task in tasks], dim=1))
    S = torch.cat([task.S for task in tasks])
    merged = as_factors(U, S, V.T)
    return Factors(merged.lora_A, merged.lora_B * settings.number("lambda"))
