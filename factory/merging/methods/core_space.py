"""Core Space: updates in the span that all of them share, a small matrix each, merged there by another method."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings, load_method
from factory.merging.parameters import DENSITY, WEIGHT
from factory.merging.subspaces import back, components, present, span, within
from factory.store.factors import Factors

RULES = ("linear", "ties", "tsv", "iso_c", "iso_cts")

CONTRACT = Contract(
    paper="Panariello et al. 2025, Accurate and Efficient Low-Rank Model Merging in Core Space (arXiv 2509.17786)",
    space="factors",
    parameters={
        "weight": WEIGHT,
        "rule": Parameter("ties", choices=RULES),
        "density": DENSITY,
        "normalize": Parameter(True),
        "keep": Parameter(1.0, low=0, high=1, above=True),
        "common": Parameter(0.8, low=0, high=1),
        "lambda": Parameter(1.0),
    },
    identity={"density": 1.0, "rule": "ties"},
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """U rule(M_1 .. M_T) V^T with M_t = U^T D_t V, which loses nothing.

    U are the left singular vectors of all lora_B side by side and V those of all lora_A^T. The paper takes the factors
    as they are; here each D_t = U_t S_t V_t^T gives U_t sqrt(S_t) and V_t sqrt(S_t), so that an adapter's merge does
    not depend on how its update happens to be factored. `density` and `normalize` are for ties, `keep` for tsv,
    `common` for iso_cts; `normalize` is for linear too.
    """
    parts, own = present(inputs, settings)
    if not parts:
        return Factors.zero(inputs[0].shape)
    tasks = [components(part) for part in parts]
    left, _ = span([task.U * task.S.sqrt() for task in tasks])
    right, _ = span([task.Vh.T * task.S.sqrt() for task in tasks])
    return back(load_method(str(own.shared["rule"])).merge(within(parts, left, right), own), left, right)
