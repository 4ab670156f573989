"""KnOTS-TIES: updates are brought into one space by a joint decomposition, and TIES merges them there."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings, load_method
from factory.merging.subspaces import components, present, span
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="Stoica et al. 2024, Model merging with SVD to tie the KnOTS (arXiv 2410.19735), section 4",
    space="factors",
    parameters={
        "weight": Parameter(1.0, each=True),
        "density": Parameter(1.0, each=True, low=0, high=1, above=True),
        "normalize": Parameter(True),
        "lambda": Parameter(1.0),
    },
    identity={"density": 1.0},
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """U S ties(V_1^T .. V_T^T), where [D_1 .. D_T] = U S [V_1^T .. V_T^T] side by side.

    With D_t = U_t S_t V_t^T of its own, U and S are those of [U_1 S_1 .. U_T S_T], so the wide matrix is never made.
    The V_t are merged without S, as the paper has it: an entry counts alike in strong and weak directions.
    """
    import torch

    parts, own = present(inputs, settings)
    if not parts:
        return Factors.zero(inputs[0].shape)
    tasks = [components(part) for part in parts]
    U, S = span([task.U * task.S for task in tasks])
    eye = torch.eye(len(S))
    aligned = [(U.T @ (task.U * task.S) / S[:, None]) @ task.Vh for task in tasks]
    merged = load_method("ties").merge([Factors(V.float(), eye) for V in aligned], own)
    assert isinstance(merged, torch.Tensor)
    root = S.sqrt()
    return Factors((root[:, None] * merged).float(), (U * root).float())
