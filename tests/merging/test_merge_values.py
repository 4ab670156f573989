"""Merges with known results: by hand, by mergekit's own kernels, and by the formulas of the papers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.merging.inputs import Input
from factory.merging.merge import MergeReport, merge_adapters
from factory.merging.recipe import parse_recipe
from factory.merging.spaces import decompose, fit_dense, fit_factors, stack
from factory.store.factors import AdapterFactors, Factors


def exact(delta: torch.Tensor) -> Factors:
    """Factors whose product is the given update, to the last bit."""
    return Factors(torch.eye(delta.shape[1]), delta.float())


def merged(
    deltas: list[torch.Tensor | Factors], method: str, weights: list[float] | None = None, seed: int = 0, **options: Any
) -> torch.Tensor:
    """Merge updates of one module at full rank; gives the dense result."""
    return merged_with_report(deltas, method, weights, seed, **options)[0]


def merged_with_report(
    deltas: list[torch.Tensor | Factors], method: str, weights: list[float] | None = None, seed: int = 0, **options: Any
) -> tuple[torch.Tensor, MergeReport]:
    rank, dtype = options.pop("rank", "full"), options.pop("dtype", None)
    recipe = parse_recipe({"merge_method": method, "parameters": options, "dtype": dtype}, "test")
    inputs = [
        Input(f"a{i}", key_of(i), AdapterFactors({"m": d if isinstance(d, Factors) else exact(d)}))
        for i, d in enumerate(deltas)
    ]
    result, report = merge_adapters(inputs, recipe, weights, rank, seed)
    return result.modules["m"].delta(), report


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def low_rank(d_out: int, d_in: int, rank: int, seed: int) -> Factors:
    return Factors(random(rank, d_in, seed=seed), random(d_out, rank, seed=seed + 1000))


X, Y = torch.tensor([[4.0, -2.0], [1.0, 3.0]]), torch.tensor([[-1.0, -4.0], [2.0, -1.0]])


@pytest.mark.parametrize(
    "method, weights, options, by_hand",
    [
        ("linear", [1, 1], {"normalize": False}, [[3, -6], [3, 2]]),
        ("linear", [3, 1], {}, [[2.75, -2.5], [1.25, 2]]),
        ("linear", [0.5, -1], {"normalize": False}, [[3, 3], [-1.5, 2.5]]),
        # Signs of the sums 3, -6, 3, 2: plus, minus, plus, plus. One agrees, both, both, one.
        ("ties", [1, 1], {}, [[4, -3], [1.5, 3]]),
        ("ties", [1, 1], {"normalize": False}, [[4, -6], [3, 3]]),
        # Weighted sums 4 - 4 = 0 elects plus; -2 - 16; 1 + 8; 3 - 4 elects minus, which the unweighted sum would not.
        ("ties", [1, 4], {}, [[4, -18 / 5], [9 / 5, -1]]),
        # Half of four entries: {4, 3} of X and {-4, 2} of Y stay.
        ("ties", [1, 1], {"density": 0.5}, [[4, -4], [2, 3]]),
        ("ties", [1, 1], {"density": 0.5, "lambda": 0.5}, [[2, -2], [1, 1.5]]),
        # A density that leaves less than one entry still keeps one: 4 of X, -4 of Y.
        ("ties", [1, 1], {"density": 0.1}, [[4, -4], [0, 0]]),
        ("dare_linear", [1, 1], {}, [[3, -6], [3, 2]]),
        ("dare_linear", [3, 1], {"normalize": True, "lambda": 2}, [[5.5, -5], [2.5, 4]]),
        ("dare_ties", [1, 1], {}, [[4, -6], [3, 3]]),
    ],
)
def test_two_by_two_by_hand(method: str, weights: list[float], options: dict[str, Any], by_hand: Any) -> None:
    torch.testing.assert_close(merged([X, Y], method, weights, **options), torch.tensor(by_hand, dtype=torch.float32))


def test_same_adapter_twice_at_a_half_is_the_adapter() -> None:
    """PEFT's linear gives twice the update, its ties and dare too."""
    one = low_rank(24, 16, 4, seed=1)
    for method in ("linear", "ties", "dare_linear", "dare_ties"):
        result = merged([one, one], method, [0.5, 0.5], **({"normalize": False}))
        assert float((result - one.delta()).norm() / one.delta().norm()) < 1e-6, method


def test_adapter_minus_itself_is_nothing() -> None:
    one = low_rank(24, 16, 4, seed=1)
    for rank in ("full", "auto", 4):
        result = merged([one, one], "linear", [1, -1], normalize=False, rank=rank)
        assert float(result.norm()) < 1e-6 * float(one.delta().norm())


def test_permutations_agree_to_fp64() -> None:
    parts = [low_rank(24, 16, 3 + i, seed=i) for i in range(3)]
    there = stack(parts, [0.2, 0.5, 0.9])
    back = stack(parts[::-1], [0.9, 0.5, 0.2])
    one, two = (f.lora_B.double() @ f.lora_A.double() for f in (there, back))
    assert float((one - two).norm() / one.norm()) < 1e-14


def test_ties_on_multiples_and_on_opposites() -> None:
    d = random(8, 7)
    torch.testing.assert_close(merged([d, 2 * d, 3 * d], "ties"), 2 * d)
    # Weighted sums are 0 everywhere, which elects plus: the positive part of d and of -d, each alone.
    torch.testing.assert_close(merged([d, -d], "ties"), d.abs())


def test_ties_density_half_changes_a_single_adapter() -> None:
    d = random(8, 8)
    trimmed = merged([d], "ties", density=0.5)
    assert int((trimmed.abs() > 1e-6).sum()) == 32
    limit = d.abs().flatten().sort().values[32]
    torch.testing.assert_close(trimmed, torch.where(d.abs() >= limit, d, torch.zeros(())))


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_dare_is_unbiased_with_the_expected_spread(p: float) -> None:
    """Mean of K draws is off by sqrt((1 - p) / p * sum ||w d||^2 / ||sum w d||^2) / sqrt(K), relative."""
    parts, weights, draws = [low_rank(12, 10, 6, seed=i) for i in (1, 2)], [1.0, 0.5], 150
    expected = sum(w * f.delta() for w, f in zip(weights, parts, strict=True))
    mean = sum(merged(list(parts), "dare_linear", weights, seed=s, density=p) for s in range(draws)) / draws
    squares = sum(float((w * f.delta()).square().sum()) for w, f in zip(weights, parts, strict=True))
    predicted = ((1 - p) / p * squares / float(expected.square().sum())) ** 0.5 / draws**0.5
    error = float((mean - expected).norm() / expected.norm())
    # The squared error is a sum of a dozen chances: within a factor of two of what it is on average.
    assert predicted / 2 < error < predicted * 2


def test_dare_drops_whole_components_and_can_leave_the_scale() -> None:
    one = low_rank(40, 30, 24, seed=1)
    S = decompose(one)[1]
    result = merged([one], "dare_linear", density=0.5, rescale=False, seed=4)
    kept = torch.linalg.svdvals(result.double())[:24]
    nearest = (kept[:, None] - S[None]).abs().min(dim=1).values
    assert all(min(float(k), float(n)) < 1e-4 for k, n in zip(kept, nearest, strict=True))
    assert 4 < int((kept > 1e-4).sum()) < 20


def test_dare_draws_differ_between_adapters_and_modules() -> None:
    one = low_rank(30, 30, 24, seed=1)
    modules = {"m": one, "n": one}
    inputs = [Input(t, key_of(t), AdapterFactors(modules)) for t in ("a", "b")]
    recipe = parse_recipe({"merge_method": "dare_linear", "parameters": {"density": 0.5}}, "test")
    result, _ = merge_adapters(inputs, recipe, [1, 0])
    other, _ = merge_adapters(inputs, recipe, [0, 1])
    seen = [result.modules["m"].delta(), result.modules["n"].delta(), other.modules["m"].delta()]
    assert not any(torch.allclose(seen[i], seen[j]) for i, j in [(0, 1), (0, 2), (1, 2)])


@pytest.mark.parametrize("dtype, bound", [("bfloat16", 4e-3), ("float16", 5e-4)])
def test_stored_dtype_costs_what_is_reported(dtype: str, bound: float) -> None:
    parts: list[Any] = [low_rank(40, 30, 4, seed=i) for i in (1, 2)]
    exact_result = merged(parts, "linear", rank=6)
    result, report = merged_with_report(parts, "linear", rank=6, dtype=dtype)
    wanted = merged(parts, "linear")
    assert float((result - exact_result).norm() / exact_result.norm()) < bound
    relative = float((result - wanted).norm() / wanted.norm())
    assert report.total.to_json()["relative_error"] == pytest.approx(relative, rel=1e-3)


def test_core_gives_the_dense_error_to_1e_13() -> None:
    factors = stack([low_rank(60, 50, 5, seed=i) for i in range(3)], [1.0, 0.5, 0.25])
    dense = factors.lora_B.double() @ factors.lora_A.double()
    S = torch.linalg.svdvals(dense)
    fit = fit_factors(factors, 6)
    assert abs(fit.energy - float(dense.square().sum())) / fit.energy < 1e-13
    assert abs(fit.lost - float(S[6:].square().sum())) / fit.energy < 1e-13


def test_nearly_equal_inputs_keep_their_small_difference() -> None:
    """Gram matrices in fp32 lose 8e-4 here: the square of the condition number."""
    A, noise = random(4, 50, seed=1), random(4, 50, seed=2)
    parts = [Factors(A, random(40, 4, seed=3)), Factors(A + 1e-4 * noise, random(40, 4, seed=4))]
    factors = stack(parts, [1.0, -1.0])
    dense = factors.lora_B.double() @ factors.lora_A.double()
    small = fit_factors(factors, 8).factors
    assert float((small.lora_B.double() @ small.lora_A.double() - dense).norm() / dense.norm()) < 1e-6


@pytest.mark.parametrize("shape", [(1100, 1300), (1300, 1100)])
def test_large_dense_updates(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Randomised and Gram paths against an exact SVD, by lowering the limit above which they are used."""
    from factory.merging import spaces

    small = (shape[0] // 10, shape[1] // 10)
    inputs = [low_rank(*small, 8, seed=i) for i in range(3)]
    delta = torch.stack([f.delta() * (f.delta().abs() > 2) for f in inputs]).mean(0)
    span = torch.cat([f.lora_A for f in inputs])
    monkeypatch.setattr(spaces, "_DENSE_LIMIT", 16)
    S = torch.linalg.svdvals(delta.double())
    for rank in (4, 16, 60, 1000):
        fit = fit_dense(delta, rank, span, seed=1)
        best = float(S[rank:].square().sum())
        assert fit.lost <= best * 1.01 + 1e-5 * fit.energy
        lost = float((delta.double() - fit.factors.delta().double()).square().sum())
        assert lost == pytest.approx(fit.lost, rel=1e-3, abs=1e-6 * fit.energy)
    auto = fit_dense(delta, "auto", span, seed=1)
    smallest = int((S.square().cumsum(0) < 0.99 * S.square().sum()).sum()) + 1
    assert auto.factors.rank == smallest and auto.lost <= 0.01 * auto.energy
    full = fit_dense(delta, "full", span, seed=1)
    assert torch.equal(full.factors.delta(), delta) and full.lost == 0


@given(n=st.integers(1, 5000), seed=st.integers(0, 99), ties=st.booleans())
@settings(max_examples=60, deadline=None)
def test_nth_largest_entry_is_exact(n: int, seed: int, ties: bool) -> None:
    from unittest.mock import patch

    from factory.merging import order

    values = random(5000, seed=seed).abs()
    values = (values * 3).round() if ties else values
    with patch.object(order, "_SAMPLE", 256):  # so that 5000 entries take the bracketed path
        update = Factors(values.reshape(1, -1), torch.ones(1, 1))
        assert order.nth_largest_entry(update, n) == float(values.sort(descending=True).values[n - 1])


def test_rank_above_the_smaller_dimension() -> None:
    """PEFT's svd crashes; the update has no more components than that."""
    parts: list[Any] = [low_rank(6, 40, 5, seed=i) for i in (1, 2)]
    for method in ("linear", "ties"):
        low = merged(parts, method, rank=64)
        torch.testing.assert_close(low, merged(parts, method), rtol=1e-5, atol=1e-5)


def test_normalised_weights_that_cancel_are_refused() -> None:
    with pytest.raises(BadInput, match="sum to 0"):
        merged([X, Y], "linear", [1, -1])
