"""The merge itself: adapters and a recipe to one adapter, module by module, in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from factory.core.errors import WorkFailed
from factory.core.hashing import canonical, seed_from
from factory.core.progress import Report, silent
from factory.core.ranks import Rank, bucket_note, rank_of
from factory.merging.belonging import check_same_base
from factory.merging.calibration import calibrated, resized
from factory.merging.contract import contract_of, load_method
from factory.merging.inputs import Input, module_of, module_shapes
from factory.merging.parameters import layers_in
from factory.merging.recipe import MergeRecipe, Resolved, resolve
from factory.merging.spaces import Fit, decompose, fit_dense, fit_factors, squared_norm, stack
from factory.merging.threads import in_order, side_by_side, single_threaded
from factory.store.factors import AdapterFactors, Factors
from factory.store.tensors import all_finite

if TYPE_CHECKING:
    import torch


# Above this relative error of the whole, the rank (or the stored dtype) is said to eat the merge.
WARN_ERROR = 0.1


@dataclass(frozen=True, slots=True)
class ModuleReport:
    """What one module of a merge lost.

    Attributes:
        rank: of the result.
        energy: ||D||_F^2 of the merged update before it was brought to that rank.
        lost: ||D - result||_F^2, by the rank and by rounding to the stored dtype.
    """

    rank: int
    energy: float
    lost: float

    def to_json(self) -> dict[str, Any]:
        """Rank, share of the energy kept, and relative error ||D - result|| / ||D||."""
        share = self.lost / self.energy if self.energy else 0.0
        return {"rank": self.rank, "energy_kept": 1 - share, "relative_error": share**0.5}


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge did and what it lost.

    Attributes:
        method: its name.
        settings: every parameter's value.
        modules: for each module.
    """

    method: str
    settings: Resolved
    modules: dict[str, ModuleReport]

    @property
    def total(self) -> ModuleReport:
        """All modules together; its rank is the largest."""
        parts = self.modules.values()
        return ModuleReport(max(p.rank for p in parts), sum(p.energy for p in parts), sum(p.lost for p in parts))

    @property
    def notes(self) -> list[str]:
        """What a user should know before relying on the result, in plain words."""
        total, notes = self.total, []
        told = total.to_json()
        if told["relative_error"] > WARN_ERROR:
            name, worst = max(self.modules.items(), key=lambda item: item[1].to_json()["relative_error"])
            notes.append(
                f"rank {total.rank} loses {1 - told['energy_kept']:.1%} of the merge's energy (relative error "
                f"{told['relative_error']:.2f}; worst module {name}, {worst.to_json()['relative_error']:.2f}); "
                "a larger --rank, or auto, keeps more"
            )
        note = bucket_note(total.rank)
        return [*notes, note] if note else notes

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, for the card."""
        return {
            **self.total.to_json(),
            "notes": self.notes,
            "settings": self.settings.to_json(),
            "per_module": {name: module.to_json() for name, module in self.modules.items()},
        }


@dataclass(frozen=True, slots=True)
class Work:
    """A merge, checked and in order, before any tensor is read.

    Attributes:
        inputs: in the order they are summed in.
        resolved: every parameter's value, in the order the inputs were named.
        order: of the inputs as they were named.
        layers: how many the base has.
        shapes: (d_out, d_in) of every module of the result, sorted.
        recipe: method and stored dtype.
    """

    inputs: Sequence[Input]
    resolved: Resolved
    order: Sequence[int]
    layers: int
    shapes: dict[str, tuple[int, int]]
    recipe: MergeRecipe

    @property
    def like(self) -> AdapterFactors:
        """The input that the result takes its base and its kind from."""
        known = [item.factors for item in self.inputs if item.factors.modules]
        embeddings = frozenset[str]().union(*(factors.embeddings for factors in known))
        vectors = frozenset[str]().union(*(factors.vectors for factors in known))
        return replace(known[0], embeddings=embeddings, vectors=vectors)


def prepare(
    inputs: Sequence[Input],
    recipe: MergeRecipe,
    weights: Sequence[float] | None = None,
    *,
    layers: int | None = None,
) -> Work:
    """Check that inputs and parameters fit.

    Args:
        inputs, recipe, weights: as for `merge_adapters`.
        layers: how many the base has, for gradients; left out, up to the last one that an input changes.

    Raises:
        BadInput: inputs that do not belong together, or parameters that do not fit them.
    """
    resolved = resolve(recipe, len(inputs), weights)
    check_same_base(inputs)
    shapes = module_shapes(inputs)
    order = list(range(len(inputs)))
    if not contract_of(recipe.merge_method).ordered:
        # Sums in floating point depend on their order; a fixed one makes the result the same to the last bit.
        order.sort(key=lambda i: (inputs[i].key, [canonical(values[i]) for values in resolved.each.values()]))
    return Work([inputs[i] for i in order], resolved, order, layers or layers_in(shapes), shapes, recipe)


def merged_update(
    work: Work, name: str, seed: int = 0, *, dense: bool = False
) -> tuple[Factors | torch.Tensor, list[Factors], float | None]:
    """One module's merged update as the method gives it, in factors or dense; the inputs' own; the norm it is to get.

    Raises:
        CorruptFile: an input holds NaN or Inf.
    """
    seeds = [seed_from("merge", seed, item.key, name) for item in work.inputs]
    parts = [module_of(item, name, work.shapes[name]) for item in work.inputs]
    settings = work.resolved.at(name, work.layers, work.order, seeds, dense=dense)
    ready, size = calibrated(work.recipe.calibration, parts, settings)
    return load_method(work.recipe.merge_method).merge(ready, settings), parts, size


def update_of(work: Work, name: str, rank: Rank = "full", seed: int = 0) -> tuple[Factors | torch.Tensor, ModuleReport]:
    """One module's update for a full model: dense where the method's is, brought to a rank only if one is asked for.

    Raises:
        CorruptFile: an input holds NaN or Inf.
        WorkFailed: the merged update is not finite.
    """
    own = rank_of(rank, name)
    merged, parts, size = merged_update(work, name, seed, dense=own == "full")
    if own == "full" and not isinstance(merged, Factors):
        _check_finite(merged, name)
        energy = squared_norm(merged)
        if size is not None and energy:
            merged, energy = merged * (size / energy**0.5), size**2
        return merged, ModuleReport(min(work.shapes[name]), energy, 0.0)
    fit = resized(_fit(merged, own, parts, seed_from("range", seed, name), name), size)
    return fit.factors, ModuleReport(fit.factors.rank, fit.energy, fit.lost)


def merged_modules(
    work: Work, rank: Rank = "full", seed: int = 0, *, report: Report = silent
) -> Iterator[tuple[str, Factors, ModuleReport]]:
    """The merge module by module: one is read, merged and handed over before the next is read.

    Raises:
        CorruptFile: an input holds NaN or Inf.
        WorkFailed: the merged update is not finite.
    """
    method = load_method(work.recipe.merge_method)

    def one(name: str) -> tuple[Factors, ModuleReport]:
        merged, parts, size = merged_update(work, name, seed)
        fit = resized(_fit(merged, rank_of(rank, name), parts, seed_from("range", seed, name), name), size)
        return _stored(fit, work.recipe.stored_dtype, name)

    largest = max(work.shapes.values(), key=math.prod)
    with single_threaded() as threads:
        workers = side_by_side(threads, largest, dense=method.CONTRACT.space == "delta")
        results = in_order(one, work.shapes, workers)
        for number, (name, result) in enumerate(zip(work.shapes, results, strict=True)):
            report(f"merging {name}", number / len(work.shapes))
            yield name, *result


def merge_adapters(
    inputs: Sequence[Input],
    recipe: MergeRecipe,
    weights: Sequence[float] | None = None,
    rank: Rank = "full",
    seed: int = 0,
    *,
    report: Report = silent,
) -> tuple[AdapterFactors, MergeReport]:
    """Merge adapters into one, in memory.

    Args:
        inputs: adapters of one base; they may differ in ranks, scales and modules.
        recipe: the method and its parameters.
        weights: one for each input, before those of the recipe.
        rank: of the result, as `parse_ranks` gives it: N, `auto` (99 % of each module's energy), or `full` (nothing is
            lost: the sum of the ranks for methods that stay in factors, up to the module's smaller dimension for
            others); or some of these by module.
        seed: of methods that draw at random, and of the randomised SVD of large modules.

    Raises:
        BadInput: inputs that do not belong together, or parameters that do not fit them.
        WorkFailed: the merged update is not finite.
    """
    work = prepare(inputs, recipe, weights)
    modules, reports = {}, {}
    for name, factors, told in merged_modules(work, rank, seed, report=report):
        modules[name], reports[name] = factors, told
    return replace(work.like, modules=modules), MergeReport(recipe.merge_method, work.resolved, reports)


def _check_finite(tensor: torch.Tensor, name: str) -> None:
    if not all_finite(tensor):
        raise WorkFailed(f"the merged update of module '{name}' is not finite; check the weights")


def _fit(merged: Factors | torch.Tensor, rank: Rank, parts: Sequence[Factors], seed: int, name: str) -> Fit:
    import torch

    for tensor in (merged,) if isinstance(merged, torch.Tensor) else (merged.lora_A, merged.lora_B):
        _check_finite(tensor, name)
    if isinstance(merged, torch.Tensor):
        return fit_dense(merged, rank, torch.cat([part.lora_A for part in parts]), seed)
    return fit_factors(merged, rank)


def _stored(fit: Fit, dtype: str, name: str) -> tuple[Factors, ModuleReport]:
    """The factors as their dtype on disk holds them, and what that and the rank cost."""
    import torch

    factors, lost = fit.factors, fit.lost
    if dtype != "float32":
        kind = getattr(torch, dtype)
        rounded = Factors(factors.lora_A.to(kind).float(), factors.lora_B.to(kind).float())
        if not (torch.isfinite(rounded.lora_A).all() and torch.isfinite(rounded.lora_B).all()):
            raise WorkFailed(f"module '{name}' does not fit into {dtype}; use dtype: bfloat16 or float32")
        # Truncation and rounding errors are nearly orthogonal, so their squares add up.
        lost += float(decompose(stack([factors, rounded], [1.0, -1.0]))[1].square().sum())
        factors = rounded
    return factors, ModuleReport(factors.rank, fit.energy, lost)
