"""The random drop of DARE and DELLA: on rank-one components for an adapter, on entries for a full model.

An adapter result has to be low-rank again. Dropping entries of an update makes it full-rank noise that truncation then
keeps part of (0.86 relative error, where plain truncation has 0.73); dropping whole singular components keeps it in
factors, is as unbiased, and has the same expected squared error, (1 - p) / p * ||D||^2, because they are orthogonal.
Singular components and not the rows of the factors: those are arbitrary, (B G, G^-1 A) is the same update.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.core.errors import BadInput
from factory.core.hashing import seed_from
from factory.merging.consensus import elect
from factory.merging.contract import Settings
from factory.merging.entries import Rule, by_tiles, weighted_sum
from factory.merging.spaces import balanced, row_blocks, stack
from factory.merging.weights import effective_weights
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

DIFFERS = "mergekit rescales by the L1 norm, not by the chance to stay; in an adapter whole components are dropped"


def drop_components(inputs: Sequence[Factors], settings: Settings) -> list[Factors]:
    """Keep each singular component of each update by chance, divided by that chance if `rescale`.

    The chance is `density`; with an `epsilon` it goes evenly from density - epsilon for the weakest component to
    density + epsilon for the strongest. Drawn from `settings.seeds`, which name the input and the module: the order of
    the inputs changes nothing.

    Raises:
        BadInput: density - epsilon is not above 0 or density + epsilon is not below 1.
    """
    rescale = bool(settings.shared["rescale"])
    return [_drop(*item, rescale) for item in zip(inputs, *_chances(settings), settings.seeds, strict=True)]


def drop_entries(inputs: Sequence[Factors], settings: Settings, rule: Rule) -> torch.Tensor:
    """Drop entries of each update as `drop_components` drops components, ranked within their row, and merge by a rule.

    Args:
        rule: rows of each update, free to be overwritten, to those of the result.

    Returns:
        (d_out, d_in), fp32.

    Raises:
        BadInput: as `drop_components`.
    """
    import torch

    rescale, chances = bool(settings.shared["rescale"]), _chances(settings)
    blocks = []
    for rows in row_blocks(inputs[0].shape):
        parts = []
        for item, density, spread, seed in zip(inputs, *chances, settings.seeds, strict=True):
            delta = item.delta(rows)
            if density < 1:
                generator = torch.Generator().manual_seed(seed_from("entries", seed, rows.start))
                chance = _by_magnitude(delta, density, spread)
                kept = torch.rand(delta.shape, generator=generator) < chance
                delta = delta * kept / chance if rescale else delta * kept
            parts.append(delta)
        blocks.append(rule(parts))
    return torch.cat(blocks)


def sum_of_kept(inputs: Sequence[Factors], settings: Settings) -> Factors | torch.Tensor:
    """sum_i w_i drop(D_i): unbiased with `rescale`, and still exact factors where the result is an adapter."""
    weights = effective_weights(settings)
    if settings.dense:
        return drop_entries(inputs, settings, weighted_sum(weights))
    return stack(drop_components(inputs, settings), weights)


def election_of_kept(inputs: Sequence[Factors], settings: Settings) -> torch.Tensor:
    """lambda * sum of the w_i drop(D_i) that agree with the elected sign, entry by entry."""
    if settings.dense:
        return drop_entries(inputs, settings, lambda parts: elect(parts, settings))
    return by_tiles(drop_components(inputs, settings), lambda parts: elect(parts, settings))


def _chances(settings: Settings) -> tuple[Sequence[float], Sequence[float]]:
    densities = settings.each["density"]
    spreads = settings.each.get("epsilon", [0.0] * len(densities))
    for density, spread in zip(densities, spreads, strict=True):
        if density < 1 and spread and not spread < density < 1 - spread:
            raise BadInput(f"density {density:g} with epsilon {spread:g}: density +- epsilon has to be inside (0, 1)")
    return densities, spreads


def _by_magnitude(delta: torch.Tensor, density: float, spread: float) -> torch.Tensor:
    """Each entry's chance to stay: from density - spread for the smallest of its row to density + spread."""
    import torch

    width = delta.shape[1]
    if not spread or width == 1:
        return torch.full((1, 1), density)
    places = delta.abs().argsort(dim=1).argsort(dim=1).float() / (width - 1)
    return density - spread + 2 * spread * places


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
