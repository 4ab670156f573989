"""Compress-then-Merge: updates are first brought into shared directions of the rank wanted, then merged there."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.contract import Contract, Parameter, Settings, load_method
from factory.merging.parameters import DENSITY, WEIGHT
from factory.merging.subspaces import back, components, present, span, within
from factory.store.factors import Factors

CONTRACT = Contract(
    paper="Compress then Merge: From Multiple LoRAs into One Low-Rank Adapter (arXiv 2606.03723)",
    space="factors",
    parameters={
        "weight": WEIGHT,
        "directions": Parameter(0.0, low=0),
        "rule": Parameter("linear", choices=("linear", "ties", "tsv", "iso_c")),
        "density": DENSITY,
        "normalize": Parameter(False),
        "keep": Parameter(1.0, low=0, high=1, above=True),
        "lambda": Parameter(1.0),
    },
    identity={"density": 1.0, "directions": 0.0},
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> Factors:
    """U rule(U^T D_1 V .. U^T D_T V) V^T with r columns in U and in V: the result has rank r and needs no truncation.

    U and V are the first r singular directions of [D_1 .. D_T] side by side and one above the other, from the singular
    components of each; r is `directions`, or the largest rank of the inputs where that is 0. No public code was there
    to compare with: which directions are shared, and by what energy, is our reading of the paper.
    """
    parts, own = present(inputs, settings)
    if not parts:
        return Factors.zero(inputs[0].shape)
    tasks = [components(part) for part in parts]
    rank = int(own.number("directions")) or max(len(task.S) for task in tasks)
    left, _ = span([task.U * task.S for task in tasks])
    right, _ = span([task.Vh.T * task.S for task in tasks])
    left, right = left[:, :rank], right[:, :rank]
    return back(load_method(str(own.shared["rule"])).merge(within(parts, left, right), own), left, right)
