"""Where adapters of one base agree, fight and overlap: from their factors alone, without the base, in k x k space.

Every number is of the updates themselves and not of A and B: those are only one of many pairs with the same product.
All are exact but the sign conflict, which needs entries and looks at random rows of each module.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

from factory.core.errors import BadInput
from factory.core.hashing import seed_from
from factory.core.progress import Report, silent
from factory.merging.belonging import check_same_base
from factory.merging.grams import Grams, gram
from factory.merging.inputs import Input, module_of, module_shapes
from factory.merging.spaces import stack
from factory.merging.threads import in_order, single_threaded
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch

ROWS = 128
# Directions of an update below this share of its largest singular value are rounding noise and span nothing.
_NOISE = 1e-4
_LAYER = re.compile(r"\.(\d+)\.")

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Spaces:
    """How two updates' input spaces (or output spaces) lie to each other.

    Attributes:
        overlap: ||Q_i^T Q_j||_F^2 over the smaller dimension, in [0, 1].
        chance: what two random spaces of these dimensions have, on average.
        angle: the smallest principal angle, in degrees.
    """

    overlap: float
    chance: float
    angle: float

    @property
    def above_chance(self) -> float:
        """0 where it is what chance gives, 1 where one space holds the other."""
        return (self.overlap - self.chance) / (1 - self.chance) if self.chance < 1 else 0.0


@dataclass(frozen=True, slots=True)
class Signs:
    """Entries where two updates have opposite signs, among those looked at.

    Attributes:
        opposite, seen: how many.
        variance: of `opposite`, from the differences between rows; 0 where all rows were looked at.
    """

    opposite: int
    seen: int
    variance: float

    @property
    def rate(self) -> float:
        """Share of the entries."""
        return self.opposite / self.seen if self.seen else 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """The comparison of one module, or of several together.

    Attributes:
        inner: <D_i, D_j>, Frobenius, (adapters, adapters).
        weights: of the proposed merge sum_i w_i D_i.
        inputs, outputs: of each pair, where both change the module.
        signs: of each pair.
        stable: ||D_i||_F^2 / ||D_i||_2^2 of each; 0 where it has no update.
    """

    inner: list[list[float]]
    weights: list[float]
    inputs: dict[Pair, Spaces]
    outputs: dict[Pair, Spaces]
    signs: dict[Pair, Signs]
    stable: list[float]

    @property
    def norms(self) -> list[float]:
        """||D_i||_F."""
        return [math.sqrt(max(0.0, row[i])) for i, row in enumerate(self.inner)]

    def cosine(self, i: int, j: int) -> float | None:
        """Of two updates; None where one of them is zero."""
        scale = self.norms[i] * self.norms[j]
        return max(-1.0, min(1.0, self.inner[i][j] / scale)) if scale else None

    @property
    def cancellation(self) -> float | None:
        """||sum w D|| / sum |w| ||D||: 1 where all point the same way, 0 where the merge is nothing."""
        total = sum(abs(w) * norm for w, norm in zip(self.weights, self.norms, strict=True))
        merged = sum(a * b * self.inner[i][j] for i, a in enumerate(self.weights) for j, b in enumerate(self.weights))
        return math.sqrt(max(0.0, merged)) / total if total else None

    def retention(self, i: int) -> float | None:
        """<M, D_i> / ||D_i||^2 for the proposed merge M: 1 where its part along D_i is D_i itself."""
        along = sum(weight * self.inner[i][j] for j, weight in enumerate(self.weights))
        return along / self.inner[i][i] if self.inner[i][i] > 0 else None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; pairs as `0-1`."""
        pairs = {}
        for i, j in combinations(range(len(self.inner)), 2):
            cosine, signs = self.cosine(i, j), self.signs.get((i, j))
            told: dict[str, Any] = {"cosine": cosine}
            if signs and signs.seen:
                told["sign_conflict"] = signs.rate
                told["sign_conflict_error"] = math.sqrt(signs.variance) / signs.seen
                told["sign_conflict_chance"] = math.acos(cosine) / math.pi if cosine is not None else None
            for name, spaces in (("input", self.inputs), ("output", self.outputs)):
                if (i, j) in spaces:
                    found = spaces[i, j]
                    told |= {f"{name}_overlap": found.above_chance, f"{name}_angle": found.angle}
            pairs[f"{i}-{j}"] = told
        return {
            "norms": self.norms,
            "stable_ranks": self.stable,
            "cancellation": self.cancellation,
            "retention": [self.retention(i) for i in range(len(self.inner))],
            "pairs": pairs,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Adapters compared.

    Attributes:
        titles: of the adapters.
        weights: of the proposed merge.
        modules: the comparison of each module.
        rows, seed: how many rows of each module the sign conflict was counted on, and how they were drawn.
    """

    titles: list[str]
    weights: list[float]
    modules: dict[str, Part]
    rows: int
    seed: int

    @property
    def overall(self) -> Part:
        """All modules as one vector; overlaps are means over modules, weighted by what the two change there."""
        return combined(list(self.modules.values()))

    @property
    def layers(self) -> dict[str, Part]:
        """By layer number, modules outside of any as `other`."""
        groups: dict[str, list[Part]] = defaultdict(list)
        for name, part in self.modules.items():
            found = _LAYER.search(name)
            groups[found[1] if found else "other"].append(part)
        order = sorted(groups, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0))
        return {name: combined(groups[name]) for name in order}

    def to_json(self, *, per_module: bool = True) -> dict[str, Any]:
        """As a JSON object."""
        told = {
            "adapters": self.titles,
            "weights": self.weights,
            "sampling": {"rows": self.rows, "seed": self.seed},
            "overall": self.overall.to_json(),
            "per_layer": {name: part.to_json() for name, part in self.layers.items()},
        }
        if per_module:
            told["per_module"] = {name: part.to_json() for name, part in self.modules.items()}
        return told


def compare(
    inputs: Sequence[Input],
    weights: Sequence[float] | None = None,
    *,
    rows: int = ROWS,
    seed: int = 0,
    report: Report = silent,
) -> Comparison:
    """Compare adapters of one base, module by module.

    Args:
        inputs: two or more; they may differ in ranks, scales and modules.
        weights: of the proposed merge, the plain weighted sum; 1 each if left out.
        rows: of each module, drawn at random, on which signs are compared.
        seed: of that draw.

    Raises:
        BadInput: fewer than two, another number of weights, or adapters that do not belong together.
        CorruptFile: one holds NaN or Inf.
    """
    if len(inputs) < 2:
        raise BadInput(f"comparing takes two adapters or more, got {len(inputs)}")
    own = [1.0] * len(inputs) if weights is None else list(weights)
    if len(own) != len(inputs):
        raise BadInput(f"{len(own)} weights for {len(inputs)} adapters; give one weight for each adapter")
    check_same_base(inputs)
    shapes = module_shapes(inputs)

    def one(name: str) -> Part:
        parts = [module_of(item, name, shapes[name]) for item in inputs]
        return _module(parts, own, rows, seed_from("compare", seed, name))

    modules = {}
    with single_threaded() as threads:
        for place, (name, part) in enumerate(zip(shapes, in_order(one, shapes, threads), strict=True)):
            report(f"comparing {name}", place / len(shapes))
            modules[name] = part
    return Comparison([item.title for item in inputs], own, modules, rows, seed)


def _module(parts: Sequence[Factors], weights: list[float], rows: int, seed: int) -> Part:
    import torch

    whole = stack(parts, [1.0] * len(parts))
    out, inn = gram(whole.lora_B.T), gram(whole.lora_A)
    bounds = [0]
    for part in parts:
        bounds.append(bounds[-1] + part.rank)
    spans = [slice(start, stop) for start, stop in pairwise(bounds)]
    inner = [[float((out[a, b] * inn[a, b]).sum()) for b in spans] for a in spans]
    bases = [_directions(part) for part in parts]
    inputs, outputs = {}, {}
    for i, j in combinations(range(len(parts)), 2):
        (left_i, right_i, _), (left_j, right_j, _) = bases[i], bases[j]
        if left_i.shape[1] and left_j.shape[1]:
            outputs[i, j] = _between(left_i.T @ out[spans[i], spans[j]] @ left_j, whole.shape[0])
            inputs[i, j] = _between(right_i @ inn[spans[i], spans[j]] @ right_j.T, whole.shape[1])
    signs = _signs(parts, rows, torch.Generator().manual_seed(seed))
    return Part(inner, weights, inputs, outputs, signs, [stable for _, _, stable in bases])


def _directions(factors: Factors) -> tuple[torch.Tensor, torch.Tensor, float]:
    """`left` and `right` so that lora_B left and right lora_A are orthonormal and span the update; its stable rank."""
    import torch

    if not factors.rank:
        return torch.zeros(0, 0, dtype=torch.float64), torch.zeros(0, 0, dtype=torch.float64), 0.0
    S, left, right = Grams.of(factors).decompose()
    keep = int((_NOISE * S[0] < S).sum()) if float(S[0]) > 0 else 0
    stable = float(S.square().sum() / S[0].square()) if keep else 0.0
    return left[:, :keep], right[:keep], stable


def _between(product: torch.Tensor, size: int) -> Spaces:
    """Two spaces of a `size`-dimensional one from Q_i^T Q_j; its singular values are the cosines of their angles."""
    import torch

    cosines = torch.linalg.svdvals(product).clamp(max=1)
    small, large = sorted(product.shape)
    return Spaces(float(cosines.square().sum()) / small, large / size, math.degrees(math.acos(float(cosines[0]))))


def _signs(parts: Sequence[Factors], rows: int, generator: torch.Generator) -> dict[Pair, Signs]:
    """Opposite signs among the entries of some rows; entries where either is 0 are not looked at."""
    import numpy as np
    import torch

    d_out = parts[0].shape[0]
    drawn = torch.randperm(d_out, generator=generator)[:rows].sort().values
    entries = [(part.lora_B[drawn] @ part.lora_A).numpy() for part in parts]
    found = {}
    for i, j in combinations(range(len(parts)), 2):
        product = entries[i] * entries[j]
        by_row = np.count_nonzero(product < 0, axis=1).astype(float)
        seen = int(np.count_nonzero(product))
        count = len(drawn)
        left = 1 - count / d_out  # sampling without replacement
        spread = float(by_row.var(ddof=1)) * count * left if 1 < count < d_out else 0.0
        found[i, j] = Signs(int(by_row.sum()), seen, spread)
    return found


def combined(parts: Sequence[Part]) -> Part:
    """Several modules as one: inner products and counts add up, overlaps are averaged.

    Overlap and angle are means weighted by ||D_i|| ||D_j||, and so is the chance level; stable ranks by ||D_i||^2.
    """
    count = len(parts[0].weights)
    inner = [[math.fsum(part.inner[i][j] for part in parts) for j in range(count)] for i in range(count)]
    signs: dict[Pair, Signs] = {}
    inputs: dict[Pair, Spaces] = {}
    outputs: dict[Pair, Spaces] = {}
    for pair in combinations(range(count), 2):
        own = [part.signs[pair] for part in parts if pair in part.signs]
        signs[pair] = Signs(sum(s.opposite for s in own), sum(s.seen for s in own), sum(s.variance for s in own))
        for name, into in (("inputs", inputs), ("outputs", outputs)):
            mean = _mean_spaces(parts, name, pair)
            if mean is not None:
                into[pair] = mean
    stable = []
    for i in range(count):
        energy = sum(part.inner[i][i] for part in parts)
        stable.append(sum(part.stable[i] * part.inner[i][i] for part in parts) / energy if energy else 0.0)
    return Part(inner, parts[0].weights, inputs, outputs, signs, stable)


def _mean_spaces(parts: Sequence[Part], name: str, pair: Pair) -> Spaces | None:
    i, j = pair
    found = [
        (getattr(part, name)[pair], part.norms[i] * part.norms[j]) for part in parts if pair in getattr(part, name)
    ]
    total = sum(weight for _, weight in found)
    if not total:
        return None
    mean = [sum(getattr(s, key) * weight for s, weight in found) / total for key in ("overlap", "chance", "angle")]
    return Spaces(*mean)
