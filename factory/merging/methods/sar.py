"""SAR: where updates overlap the more sensitive one is taken alone, then the result is made sparse and rescaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Contract, Parameter, Settings
from factory.merging.entries import Band, by_tiles
from factory.merging.grams import Grams
from factory.merging.parameters import WEIGHT
from factory.merging.sparse import changed, limits
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

CONTRACT = Contract(
    paper="Wu et al. 2026, Sparsity Curse (arXiv 2606.18521), SAR-Merging, without its data",
    space="delta",
    parameters={
        "weight": WEIGHT,
        "density": Parameter(1.0, low=0, high=1, above=True),
        "rescale": Parameter(True),
        "epsilon": Parameter(0.0, low=0),
        "threshold": Parameter(0.5, low=0),
    },
    identity={"density": 1.0, "threshold": 0.0},
    in_mergekit=False,
)


def merge(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """Arbitrate, sparsify, rescale.

    An entry that several inputs change (|d_i| > epsilon, or threshold * rms(D_i)) is that of the most sensitive of
    them, w_i d_i; one that a single input changes is kept. Of the result the `density` share with the largest
    magnitude stays and, if `rescale`, gets the norm of the whole.

    The paper's sensitivity is diagonal Fisher information, which needs each task's data. Without it the square of the
    entry over the mean square of its update stands in, which favours the entries a task has changed most for its size.
    """
    import torch

    bounds = limits(inputs, settings)
    entries = inputs[0].shape[0] * inputs[0].shape[1]
    energies = [Grams.of(item).energy / entries for item in inputs]
    weights = torch.tensor(settings.each["weight"]).reshape(-1, 1, 1)
    scale = torch.tensor(
        [(e**-0.5 if e and w else 0.0) for e, w in zip(energies, settings.each["weight"], strict=True)]
    )
    scale = scale.reshape(-1, 1, 1)

    def arbitrate(parts: list[torch.Tensor]) -> torch.Tensor:
        stacked = torch.stack(parts) * changed(parts, bounds)
        winner = (stacked.abs() * scale).argmax(dim=0, keepdim=True)
        return (stacked * weights).gather(0, winner)[0]

    merged = by_tiles(inputs, arbitrate)
    keep = max(1, int(settings.number("density") * entries))
    if keep == entries:
        return merged
    before = float(merged.double().square().sum())
    merged = Band(float(merged.abs().flatten().kthvalue(entries - keep + 1).values)).keep(merged)
    after = float(merged.double().square().sum())
    return merged.mul_((before / after) ** 0.5) if settings.shared["rescale"] and after else merged
