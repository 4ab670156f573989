"""Methods on updates whose merge is known: by hand, and by the formulas of the papers on dense matrices."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_merge_values import X, Y, low_rank, merged, random

from factory.core.errors import BadInput
from factory.store.factors import Factors

ROOT = math.sqrt(45 / 32)
# Two unit vectors 45 degrees apart; the nearest pair at a right angle is 22.5 degrees off on either side.
U45 = torch.tensor([[1.0], [1.0]]) / math.sqrt(2)
A, B = (torch.tensor([[math.cos(math.radians(d))], [math.sin(math.radians(d))]]) for d in (-22.5, 67.5))


def diag(*values: float) -> torch.Tensor:
    return torch.diag(torch.tensor(values, dtype=torch.float32))


@pytest.mark.parametrize(
    "method, options, deltas, by_hand",
    [
        ("task_arithmetic", {"lambda": 0.5}, [X, Y], [[1.5, -3], [1.5, 1]]),
        ("task_arithmetic", {"normalize": True}, [X, Y], [[1.5, -3], [1.5, 1]]),
        ("cat", {}, [X, Y], [[3, -6], [3, 2]]),
        ("svd", {}, [X, Y], [[3, -6], [3, 2]]),
        # {4, 3} of X and {-4, 2} of Y stay; with rescale X times 10/7 and Y times 8/6.
        ("magnitude_prune", {"density": 0.5}, [X, Y], [[4, -4], [2, 3]]),
        ("magnitude_prune", {"density": 0.5, "rescale": True}, [X, Y], [[40 / 7, -16 / 3], [8 / 3, 30 / 7]]),
        ("ties", {"density": 0.5, "rescale": True}, [X, Y], [[40 / 7, -16 / 3], [8 / 3, 30 / 7]]),
        # The largest is an outlier and half of the entries below it stay: {-2, 3} of X, {-2, 3} of the other.
        ("breadcrumbs", {"density": 0.5, "gamma": 0.25}, [X, diag(4, 1) + diag(3, -2).flip(0)], [[0, -4], [3, 3]]),
        ("breadcrumbs_ties", {"density": 0.5, "gamma": 0.25}, [X, diag(4, 1) + diag(3, -2).flip(0)], [[0, -4], [3, 3]]),
        ("breadcrumbs_ties", {}, [X, Y], [[4, -6], [3, 3]]),
        # ||X||^2 = 30, ||Y||^2 = 22; the signs of the sums 3, -6, 3, 2 are plus, minus, plus, plus.
        ("sce", {}, [X, Y], [[4, -148 / 52], [74 / 52, 3]]),
        # Variances over the two: 6.25, 1, 0.25, 4; the two largest stay, with masses 4^2 + 3^2 and 1 + 1.
        ("sce", {"select_topk": 0.5}, [X, Y], [[4, 0], [0, 3]]),
        # |x| > 1.5 counts: 4, -2, 3 of X and -4, 2 of Y.
        ("ram", {"epsilon": 1.5}, [X, Y], [[4, -3], [2, 3]]),
        # rms(X) = 2.74 and rms(Y) = 2.35: only 4 and 3 of X and -4 of Y are above it.
        ("ram", {"threshold": 1.0}, [X, Y], [[4, -4], [0, 3]]),
        # One entry is shared and two of X, one of Y are unique: 0.5 and 1, both cut at 0.2.
        ("ramplus_tl", {"epsilon": 1.5}, [X, Y], [[4 * 1.02, -3], [2 * 1.02, 3 * 1.02]]),
        ("ramplus_tl", {"epsilon": 1.5, "r": 0.2, "alpha": 0.6}, [X, Y], [[4 * 1.1, -3], [2 * 1.12, 3 * 1.1]]),
        # Relative to their rms: 4 of X against -1, -2 against -4 of Y, 1 against 2 of Y, 3 of X against -1.
        ("sar", {"threshold": 0}, [X, Y], [[4, -4], [2, 3]]),
        ("sar", {"threshold": 0, "density": 0.5}, [X, Y], [[4 * ROOT, -4 * ROOT], [0, 0]]),
        ("sar", {"threshold": 0, "density": 0.5, "rescale": False}, [X, Y], [[4, -4], [0, 0]]),
        ("tsv", {}, [diag(3, 0), diag(0, 2)], diag(3, 2)),
        ("tsv", {}, [diag(3, 0), diag(3, 0)], diag(3, 0)),
        ("tsv", {}, [diag(3, 0), 2 * U45 @ U45.T], 3 * A @ A.T + 2 * B @ B.T),
        # Two components of each task would not fit side by side: the first of each.
        ("tsv", {}, [diag(3, 1), diag(1, 3)], diag(3, 3)),
        ("iso_c", {}, [diag(3, 0), diag(0, 1)], diag(2, 2)),
        ("iso_c", {}, [diag(3, 0, 0), diag(0, -1, 0)], diag(2, -2, 0)),
        # The sum has 8, 2, 2: one common direction, one for each task, and the mean of 8, 2, 2.
        ("iso_cts", {"common": 0.4}, [diag(4, 2, 0, 0), diag(4, 0, 2, 0)], diag(4, 4, 4, 0)),
        ("knots_ties", {}, [diag(3, 0), diag(0, 2)], diag(3, 2)),
        ("knots_ties", {"scaled": False}, [diag(3, 0), diag(0, 2)], diag(3, 2)),
        # Inside, rows are (1, 2) / sqrt 5 of each times 2 and -1: plus wins, and only the first is averaged.
        ("knots_ties", {}, [2 * X, -X], 2 * X),
        ("core_space", {"rule": "linear", "normalize": False}, [X, Y], [[3, -6], [3, 2]]),
        ("core_space", {"rule": "iso_c"}, [diag(3, 0), diag(0, 1)], diag(2, 2)),
        ("core_space", {"rule": "tsv"}, [diag(3, 0), 2 * U45 @ U45.T], 3 * A @ A.T + 2 * B @ B.T),
        ("core_space", {}, [2 * X, -X], 2 * X),
        # The direction with the most energy, 9 against 1; both directions.
        ("ctm", {"directions": 1}, [diag(3, 0), diag(0, 1)], diag(3, 0)),
        ("ctm", {"directions": 2}, [diag(3, 0), diag(0, 1)], diag(3, 1)),
        ("ctm", {}, [X, Y], [[3, -6], [3, 2]]),
        # What is read by different rows does not interfere; on the same row the mean disturbs both least.
        ("wudi", {}, [diag(3, 0), diag(0, 2)], diag(3, 2)),
        ("wudi", {}, [torch.tensor([[2.0, 0], [0, 0]]), torch.tensor([[0.0, 0], [4, 0]])], [[1, 0], [2, 0]]),
        ("della", {}, [X, Y], [[4, -3], [1.5, 3]]),
        ("della_linear", {}, [X, Y], [[3, -6], [3, 2]]),
    ],
)
def test_two_by_two_by_hand(method: str, options: dict[str, Any], deltas: list[torch.Tensor], by_hand: Any) -> None:
    expected = by_hand if isinstance(by_hand, torch.Tensor) else torch.tensor(by_hand, dtype=torch.float32)
    torch.testing.assert_close(merged(list(deltas), method, **options), expected, rtol=1e-5, atol=1e-5)


def dense(parts: list[Factors]) -> list[torch.Tensor]:
    return [f.lora_B.double() @ f.lora_A.double() for f in parts]


def polar(matrix: torch.Tensor) -> torch.Tensor:
    P, _, Qh = torch.linalg.svd(matrix, full_matrices=False)
    return P @ Qh


def top(matrix: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    U, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
    return U[:, :count], S[:count], Vh[:count]


def by_paper(method: str, deltas: list[torch.Tensor], ranks: list[int]) -> torch.Tensor:
    """The formula on dense matrices, in fp64."""
    if method == "tsv":
        found = [top(d, r) for d, r in zip(deltas, ranks, strict=True)]
        U, V = polar(torch.cat([f[0] for f in found], 1)), polar(torch.cat([f[2].T for f in found], 1))
        return U @ torch.diag(torch.cat([f[1] for f in found])) @ V.T
    if method == "iso_c":
        U, S, Vh = top(sum(deltas), sum(ranks))  # type: ignore[arg-type]
        return S.mean() * U @ Vh
    if method == "iso_cts":
        total, tasks = sum(ranks), len(deltas)
        each = round((total - int(0.8 * total)) / tasks)
        found = [top(sum(deltas), total - each * tasks)]  # type: ignore[arg-type]
        found += [top(d - found[0][0] @ found[0][0].T @ d, each) for d in deltas]
        U, V = polar(torch.cat([f[0] for f in found], 1)), polar(torch.cat([f[2].T for f in found], 1))
        return torch.cat([f[1] for f in found]).mean() * U @ V.T
    if method == "knots_ties":
        U, S, Vh = top(torch.cat(deltas, 1), sum(ranks))
        rows = [S[:, None] * part for part in Vh.split(deltas[0].shape[1], dim=1)]
        return U @ merged([r.float() for r in rows], "ties").double()
    # WUDI: gradient descent on its objective, as the paper has it, with a step that is sure to converge.
    grams = [d.T @ d / d.square().sum() for d in deltas]
    D, step = sum(deltas), 1 / float(torch.linalg.eigvalsh(sum(grams))[-1])  # type: ignore[arg-type]
    for _ in range(4000):
        D = D - step * sum((D - d) @ G for d, G in zip(deltas, grams, strict=True))
    return D  # type: ignore[return-value]


@pytest.mark.parametrize("method", ["tsv", "iso_c", "iso_cts", "knots_ties", "wudi"])
@pytest.mark.parametrize("shape", [(30, 22), (18, 40)])
def test_equals_the_dense_formula(method: str, shape: tuple[int, int]) -> None:
    ranks = [2, 4, 3]
    parts = [low_rank(*shape, rank, seed=i) for i, rank in enumerate(ranks)]
    expected = by_paper(method, dense(parts), ranks)
    result = merged(list(parts), method).double()
    assert float((result - expected).norm() / expected.norm()) < 1e-5


@given(seed=st.integers(0, 999), tasks=st.integers(1, 3))
@settings(max_examples=20)
def test_wudi_is_where_its_objective_is_flat(seed: int, tasks: int) -> None:
    """Inputs that share rows: the gradient there is 0 and any step away is worse."""
    shared = random(2, 12, seed=seed + 50)
    parts = [
        Factors(torch.cat([shared, random(1, 12, seed=seed + i)]), random(9, 3, seed=seed - i)) for i in range(tasks)
    ]
    deltas, result = dense(parts), merged(list(parts), "wudi").double()
    gradient = sum((result - d) @ d.T @ d / d.square().sum() for d in deltas)
    assert float(gradient.norm()) < 1e-4 * float(sum(d.norm() for d in deltas))  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["tsv", "iso_c", "iso_cts"])
def test_core_space_and_the_whole_space_agree_for_rules_that_only_rotate(method: str) -> None:
    parts: list[Any] = [low_rank(20, 16, 3, seed=i) for i in range(3)]
    torch.testing.assert_close(merged(parts, "core_space", rule=method), merged(parts, method), rtol=1e-3, atol=1e-4)


def test_core_space_loses_nothing() -> None:
    parts: list[Any] = [low_rank(40, 30, 2 + i, seed=i) for i in range(3)]
    whole = merged(parts, "linear", [1.0, 0.5, -2.0], normalize=False)
    core = merged(parts, "core_space", [1.0, 0.5, -2.0], rule="linear", normalize=False)
    assert float((core - whole).norm() / whole.norm()) < 1e-6


def test_ctm_has_its_rank_without_truncation() -> None:
    parts: list[Any] = [low_rank(40, 30, 4, seed=i) for i in range(3)]
    for rule in ("linear", "ties", "tsv", "iso_c"):
        result = merged(parts, "ctm", directions=5, rule=rule)
        assert int(torch.linalg.matrix_rank(result, rtol=1e-5)) <= 5


@pytest.mark.parametrize("epsilon", [0.0, 0.2])
def test_della_is_unbiased_and_keeps_the_strong_more_often(epsilon: float) -> None:
    part, draws, p = low_rank(12, 10, 6, seed=1), 150, 0.5
    results = [merged([part], "della_linear", seed=s, density=p, epsilon=epsilon) for s in range(draws)]
    mean = sum(results) / draws
    U, S, Vh = torch.linalg.svd(part.delta(), full_matrices=False)
    chance = p + epsilon * torch.linspace(1, -1, 6)
    predicted = float((S[:6].square() * (1 - chance) / chance).sum() / S.square().sum()) ** 0.5 / draws**0.5
    error = float((mean - part.delta()).norm() / part.delta().norm())
    assert error < predicted * 2  # a bias would not shrink with the number of draws
    kept = torch.stack([(U[:, i] @ torch.stack(results) @ Vh[i]).abs() > 1e-3 for i in (0, 5)]).float().mean(dim=1)
    assert abs(kept[0] - (p + epsilon)) < 0.15 and abs(kept[1] - (p - epsilon)) < 0.15


def test_della_refuses_chances_outside_0_and_1() -> None:
    with pytest.raises(BadInput, match=r"density 0.9 with epsilon 0.15: density \+- epsilon has to be inside"):
        merged([X], "della", density=0.9)


def test_ram_is_relative_to_each_update() -> None:
    """An absolute limit takes all of one adapter and nothing of another; ours does not depend on the scale."""
    d = random(8, 8)
    for scale in (1e-6, 1e3):
        one = merged([scale * d, scale * d.T], "ram")
        torch.testing.assert_close(one / scale, merged([d, d.T], "ram"), rtol=1e-4, atol=1e-5)


def test_sce_weighs_small_updates_too() -> None:
    """mergekit takes updates whose mean squares sum to less than 1e-6 for equals, which RL updates always are."""
    d, e = random(8, 8), 3 * random(8, 8, seed=1)
    torch.testing.assert_close(merged([1e-5 * d, 1e-5 * e], "sce") * 1e5, merged([d, e], "sce"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("combination", ["svd", "ties_svd", "magnitude_prune_svd"])
def test_against_peft_on_whole_updates(combination: str) -> None:
    """PEFT's *_svd act on updates as ours do; its TIES elects on unweighted sums and divides by the count, which is
    ours for equal weights of 1."""
    from peft import LoraConfig, get_peft_model
    from torch import nn

    net = nn.ModuleDict({"m": nn.Linear(10, 14, bias=False)})
    config = LoraConfig(r=3, lora_alpha=3, target_modules=["m"])
    model = get_peft_model(net, config, adapter_name="a")
    model.add_adapter("b", config)
    parts = [low_rank(14, 10, 3, seed=i) for i in (1, 2)]
    module = model.base_model.model["m"]
    for name, part in zip("ab", parts, strict=True):
        module.lora_A[name].weight.data, module.lora_B[name].weight.data = part.lora_A, part.lora_B
    density = {} if combination == "svd" else {"density": 0.5, "majority_sign_method": "total"}
    model.add_weighted_adapter(["a", "b"], [1.0, 1.0], "both", combination_type=combination, svd_rank=5, **density)
    ours = merged(list(parts), combination.removesuffix("_svd"), rank=5, **({"density": 0.5} if density else {}))
    torch.testing.assert_close(ours, module.get_delta_weight("both").detach(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties", "della", "della_linear"])
def test_full_models_drop_entries_and_not_components(method: str) -> None:
    """As the papers have it; only an adapter has to stay of low rank. With an epsilon weak entries go first."""
    from factory.core.hashing import key_of
    from factory.merging.inputs import Input
    from factory.merging.merge import prepare, update_of
    from factory.merging.recipe import parse_recipe
    from factory.store.factors import AdapterFactors

    part = low_rank(300, 200, 4, seed=1)
    recipe = parse_recipe({"merge_method": method, "parameters": {"density": 0.4}}, "test")
    work = prepare([Input("a", key_of("a"), AdapterFactors({"m": part}))], recipe)
    dense, told = update_of(work, "m", seed=1)
    assert isinstance(dense, torch.Tensor) and told.lost == 0
    again, _ = update_of(work, "m", seed=1)
    assert isinstance(again, torch.Tensor) and torch.equal(dense, again)
    delta = part.delta()
    kept, strong = dense != 0, delta.abs() > delta.abs().median(dim=1, keepdim=True).values
    assert abs(float(kept.float().mean()) - 0.4) < 0.02
    spread = 0.075 if "della" in method else 0.0  # half of epsilon: the mean over half of a row
    assert abs(float(kept[strong].float().mean()) - 0.4 - spread) < 0.02
    mean = float((dense * delta.sign())[strong].mean())
    if not method.startswith("della") or method == "della_linear":
        assert abs(mean / float(delta.abs()[strong].mean()) - 1) < 0.05
    low, _ = update_of(work, "m", rank=2, seed=1)
    assert isinstance(low, Factors) and low.rank == 2
