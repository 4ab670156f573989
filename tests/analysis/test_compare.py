"""Comparisons of adapters: values by hand, against dense formulas, and the same under any factorisation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.analysis.advice import sentences, suggest
from factory.analysis.compare import Comparison, compare
from factory.cli import group
from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.merging.inputs import Input
from factory.store.factors import AdapterFactors, Factors
from factory.store.write_adapter import write_adapter


def inputs(*adapters: dict[str, Factors]) -> list[Input]:
    return [Input(f"a{i}", key_of(i), AdapterFactors(modules, base="b")) for i, modules in enumerate(adapters)]


def outer(column: list[float], row: list[float]) -> Factors:
    return Factors(torch.tensor([row]), torch.tensor(column).reshape(-1, 1))


def by_hand() -> Comparison:
    """D_0 = [[3, 0], [0, 0]], D_1 = [[4, 4], [0, 0]] on layer 0; D_0 = [[0, 0], [0, 2]], D_1 = nothing on layer 1."""
    one = {"l.0.m": outer([1, 0], [3, 0]), "l.1.m": outer([0, 1], [0, 2])}
    two = {"l.0.m": outer([1, 0], [4, 4])}
    return compare(inputs(one, two), [1.0, 0.5])


def test_values_by_hand() -> None:
    found = by_hand()
    first, second = found.modules["l.0.m"], found.modules["l.1.m"]
    assert first.inner == [[9, 12], [12, 32]] and second.inner == [[4, 0], [0, 0]]
    assert first.cosine(0, 1) == pytest.approx(1 / math.sqrt(2)) and second.cosine(0, 1) is None
    # The sum is [[5, 2], [0, 0]].
    assert first.cancellation == pytest.approx(math.sqrt(29) / (3 + 0.5 * math.sqrt(32)))
    assert first.retention(0) == pytest.approx(15 / 9) and first.retention(1) == pytest.approx(28 / 32)
    assert second.retention(1) is None
    # One input direction each, 45 degrees apart; the same output direction.
    assert first.inputs[0, 1].angle == pytest.approx(45) and first.inputs[0, 1].overlap == pytest.approx(0.5)
    assert first.outputs[0, 1].angle == pytest.approx(0, abs=1e-5) and first.outputs[
        0, 1
    ].above_chance == pytest.approx(1)
    assert first.inputs[0, 1].above_chance == pytest.approx(0)  # a half is what chance gives in two dimensions
    whole = found.overall
    assert whole.inner == [[13, 12], [12, 32]] and whole.stable == [1, 1]
    assert list(found.layers) == ["0", "1"] and found.layers["1"].norms == [2, 0]


def test_signs_by_hand() -> None:
    one, two = outer([1, 1], [1, 1, -1]), outer([1, -2], [1, -1, 0])
    signs = compare(inputs({"m": one}, {"m": two})).modules["m"].signs[0, 1]
    # Row 0: (1, 1, -1) against (1, -1, 0); row 1: (1, 1, -1) against (-2, 2, 0). Zeros count for neither.
    assert (signs.opposite, signs.seen, signs.variance) == (2, 4, 0)


@given(seed=st.integers(0, 2**16), ranks=st.tuples(*[st.integers(1, 5)] * 2))
@settings(max_examples=25, deadline=None)
def test_equals_the_dense_formulas_under_any_factorisation(seed: int, ranks: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    pairs = [Factors(random(r, 9), random(12, r)) for r in ranks]
    turned = []
    for pair in pairs:
        G = torch.linalg.qr(random(pair.rank, pair.rank)).Q * torch.linspace(0.5, 2, pair.rank)
        turned.append(Factors(torch.linalg.inv(G) @ pair.lora_A, pair.lora_B @ G))
    dense = [pair.delta().double() for pair in pairs]
    U = [torch.linalg.svd(d, full_matrices=False) for d in dense]
    angles = torch.linalg.svdvals(U[0].U[:, : ranks[0]].T @ U[1].U[:, : ranks[1]])
    for version in (pairs, turned):
        part = compare(inputs(*({"m": pair} for pair in version))).modules["m"]
        expected = float((dense[0] * dense[1]).sum() / dense[0].norm() / dense[1].norm())
        assert part.cosine(0, 1) == pytest.approx(expected, abs=1e-5)
        assert part.outputs[0, 1].overlap == pytest.approx(float(angles.square().sum()) / min(ranks), abs=1e-4)
        assert part.stable[0] == pytest.approx(float((dense[0].norm() / U[0].S[0]) ** 2), rel=1e-4)
        assert part.cancellation == pytest.approx(
            float((dense[0] + dense[1]).norm() / (dense[0].norm() + dense[1].norm())), rel=1e-4
        )


def test_sampled_signs_are_within_their_error() -> None:
    generator = torch.Generator().manual_seed(3)
    pairs = [Factors(torch.randn(4, 200, generator=generator), torch.randn(1500, 4, generator=generator)) for _ in "ab"]
    exact = float((pairs[0].delta() * pairs[1].delta() < 0).float().mean())
    misses = []
    for seed in range(20):
        signs = compare(inputs(*({"m": pair} for pair in pairs)), rows=100, seed=seed).modules["m"].signs[0, 1]
        misses.append((signs.rate - exact) / (math.sqrt(signs.variance) / signs.seen))
    assert signs.seen == 100 * 200
    spread = math.sqrt(sum(miss**2 for miss in misses) / len(misses))
    assert 0.6 < spread < 1.5  # standard errors are what they say: 1, within what 20 draws can tell


def test_orthogonal_equal_and_opposite_adapters_are_told_apart() -> None:
    x, y = outer([1, 0], [1, 0]), outer([0, 1], [0, 1])
    equal, apart = compare(inputs({"m": x}, {"m": x})), compare(inputs({"m": x}, {"m": y}))
    against = compare(inputs({"m": x}, {"m": outer([1, 0], [-1, 0])}))
    assert suggest(equal).weights == pytest.approx([0.5, 0.5], abs=1e-3) and "overshoots" in sentences(equal)[0]
    assert suggest(apart).weights == pytest.approx([1, 1], abs=2e-3) and "nearly orthogonal" in sentences(apart)[0]
    assert suggest(against).method == "ties" and "pull against" in sentences(against)[0]
    assert against.overall.cancellation == 0


def test_bad_input() -> None:
    one = {"m": outer([1, 0], [1, 0])}
    with pytest.raises(BadInput, match="two adapters or more, got 1"):
        compare(inputs(one))
    with pytest.raises(BadInput, match="1 weights for 2 adapters"):
        compare(inputs(one, one), [1.0])
    with pytest.raises(BadInput, match="different bases"):
        compare(inputs(one, {"m": outer([1, 0, 0], [1, 0])}))


def test_command(tmp_path: Path) -> None:
    modules = [{"model.layers.0.q": outer([1, 0], [3, 0])}, {"model.layers.0.q": outer([1, 0], [4, 4])}]
    for name, own in zip(("math", "sql"), modules, strict=True):
        write_adapter(tmp_path / name, AdapterFactors(own, base="Some/Base"))
    names = [str(tmp_path / name) for name in ("math", "sql")]
    shown = CliRunner().invoke(group, ["compare", *names, "--layers"])
    assert shown.exit_code == 0 and "0.707" in shown.output and "math and sql make largely the same" in shown.output
    told = json.loads(CliRunner().invoke(group, ["compare", *names, "--json"]).stdout)
    assert told["adapters"] == ["math", "sql"] and told["overall"]["pairs"]["0-1"]["cosine"] == pytest.approx(
        0.7071, abs=1e-4
    )
    assert set(told["per_module"]) == {"model.layers.0.q"} and told["sampling"] == {"rows": 128, "seed": 0}
