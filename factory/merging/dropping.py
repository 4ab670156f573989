"""The random drop of DARE and DELLA, on rank-one components.

An adapter result has to be low-rank again. Dropping entries of an update makes it full-rank noise that truncation then
keeps part of (0.86 relative error, where plain truncation has 0.73); dropping whole singular components keeps it in
factors, is as unbiased, and has the same expected squared error, (1 - p) / p * ||D||^2, because they are orthogonal.
Singular components and not the rows of the factors: those are arbitrary, (B G, G^-1 A) is the same update.
"""

from __future__ import annotations

from collections.abc import Sequence

from factory.core.errors import BadInput
from factory.merging.contract import Settings
from factory.merging.spaces import balanced
from factory.store.factors import Factors


def drop_components(inputs: Sequence[Factors], settings: Settings) -> list[Factors]:
    """Keep each singular component of each update by chance, divided by that chance if `rescale`.

    The chance is `density`; with an `epsilon` it goes evenly from density - epsilon for the weakest component to
    density + epsilon for the strongest. Drawn from `settings.seeds`, which name the input and the module: the order of
    the inputs changes nothing.

    Raises:
        BadInput: density - epsilon is not above 0 or density + epsilon is not below 1.
    """
    densities = settings.each["density"]
    spreads = settings.each.get("epsilon", [0.0] * len(inputs))
    rescale = bool(settings.shared["rescale"])
    for density, spread in zip(densities, spreads, strict=True):
        if density < 1 and spread and not spread < density < 1 - spread:
            raise BadInput(f"density {density:g} with epsilon {spread:g}: density +- epsilon has to be inside (0, 1)")
    return [_drop(*item, rescale) for item in zip(inputs, densities, spreads, settings.seeds, strict=True)]


def _drop(factors: Factors, density: float, spread: float, seed: int, rescale: bool) -> Factors:
    import torch

    if density >= 1 or factors.rank == 0:
        return factors
    parts = balanced(factors)
    draw = torch.rand(parts.rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # From the strongest, which is first, to the weakest; one alone has the density itself.
    place = torch.linspace(1, -1, parts.rank, dtype=torch.float64) if parts.rank > 1 else torch.zeros(1).double()
    chance = density + spread * place
    kept = draw < chance
    gain = (1 / chance[kept]).float() if rescale else 1.0
    return Factors(parts.lora_A[kept], parts.lora_B[:, kept] * gain)
