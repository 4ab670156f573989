"""KnOTS-TIES: updates are brought into one space by a joint decomposition, and TIES merges them there."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings, load_method
from factory.merging.parameters import DENSITY, WEIGHT
from factory.merging.subspaces import components, present, span
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="Stoica et al. 2024, Model merging with SVD to tie the KnOTS (arXiv 2410.19735)",
    space="factors",
    parameters={
        "weight": WEIGHT,
        "density": DENSITY,
        "normalize": Parameter(True),
        "scaled": Parameter(True),
        "lambda": Parameter(1.0),
    },
    identity={"density": 1.0},
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """U ties(S V_1^T .. S V_T^T), where [D_1 .. D_T] = U S [V_1^T .. V_T^T] side by side.

    With D_t = U_t S_t V_t^T of its own, U and S are those of [U_1 S_1 .. U_T S_T], so the wide matrix is never made.
    `scaled: false` merges the V_t without S and multiplies by S afterwards, so that an entry counts alike in strong and
    weak directions: the paper's formula. The authors' code scales first, and so does this.
    """
    import torch

    parts, own = present(inputs, settings)
    if not parts:
        return Factors.zero(inputs[0].shape)
    tasks = [components(part) for part in parts]
    U, S = span([task.U * task.S for task in tasks])
    aligned = [(U.T @ (task.U * task.S)) @ task.Vh for task in tasks]
    if not own.shared["scaled"]:
        aligned = [rows / S[:, None] for rows in aligned]
    merged = load_method("ties").merge([Factors(rows.float(), torch.eye(len(S))) for rows in aligned], own)
    assert isinstance(merged, torch.Tensor)
    return Factors(merged, (U if own.shared["scaled"] else U * S).float())
