"""Calibrations by hand, and that every one composes with every method."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_merge_values import low_rank

from factory.core.discover import names
from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.merging.calibration import PACKAGE, load_calibration
from factory.merging.contract import PACKAGE as METHODS
from factory.merging.inputs import Input
from factory.merging.merge import merge_adapters
from factory.merging.print_mergekit import mergekit_text
from factory.merging.recipe import parse_recipe, resolve
from factory.store.factors import AdapterFactors, Factors

CALIBRATIONS = names(PACKAGE)


def calibrated(name: str, parts: list[Factors], method: str = "task_arithmetic", **options: Any) -> torch.Tensor:
    weights = options.pop("weights", None)
    recipe = parse_recipe({"merge_method": method, "parameters": options, "calibration": name}, "test")
    inputs = [Input(f"a{i}", key_of(i), AdapterFactors({"m": part})) for i, part in enumerate(parts)]
    return merge_adapters(inputs, recipe, weights)[0].modules["m"].delta()


def outer(out: int, inn: int, size: float) -> Factors:
    """size * e_out e_inn^T in 3 x 3."""
    eye = torch.eye(3)
    return Factors(eye[inn : inn + 1], size * eye[:, out : out + 1])


def test_equal_norms_by_hand() -> None:
    # Norms 3 and 1 become 2 and 2.
    result = calibrated("equal_norms", [outer(0, 0, 3), outer(1, 1, -1)])
    torch.testing.assert_close(result, torch.diag(torch.tensor([2.0, -2.0, 0.0])))


def test_pico_by_hand() -> None:
    # Both write to direction 0: halved in each. The second also writes to direction 1 alone: left as it is.
    second = Factors(torch.eye(3)[1:], torch.tensor([[4.0, 0], [0, 4], [0, 0]]))
    merged = torch.tensor([[1.5, 2.0, 0], [0, 0, 4.0], [0, 0, 0]])
    size = (3 + 32**0.5) / 2
    torch.testing.assert_close(calibrated("pico", [outer(0, 0, 3), second]), merged * size / merged.norm())


def test_pico_leaves_directions_of_one_task_alone() -> None:
    parts = [outer(0, 0, 2), outer(1, 0, 2)]
    torch.testing.assert_close(calibrated("pico", parts), sum(p.delta() for p in parts) / 2**0.5)


@pytest.mark.parametrize("name", CALIBRATIONS)
@pytest.mark.parametrize("method", names(METHODS))
def test_composes_with_every_method(name: str, method: str) -> None:
    """Not the factors count but the update, an input with weight 0 is no part of it, and the loss stays right."""
    generator = torch.Generator().manual_seed(1)
    parts = [low_rank(14, 10, 3, seed=i) for i in range(3)]
    turned = []
    for part in parts:
        G = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q * 3
        turned.append(Factors((torch.linalg.inv(G) @ part.lora_A.double()).float(), (part.lora_B.double() @ G).float()))
    one, two = calibrated(name, parts, method), calibrated(name, turned, method)
    assert torch.isfinite(one).all() and float(one.norm()) > 0
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_alone_or_beside_nothing_an_adapter_is_itself(name: str) -> None:
    part = low_rank(14, 10, 3, seed=1)
    torch.testing.assert_close(calibrated(name, [part]), part.delta(), rtol=1e-5, atol=1e-5)
    zero = Factors(torch.zeros(2, 10), torch.zeros(14, 2))
    beside = [part, Factors.zero((14, 10)), zero, low_rank(14, 10, 2, seed=2)]
    torch.testing.assert_close(calibrated(name, beside, weights=[1, 1, 1, 0.0]), part.delta(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_says_where_it_is_from_and_mergekit_is_not_given_it(name: str) -> None:
    assert load_calibration(name).PAPER
    recipe = parse_recipe({"merge_method": "ties", "calibration": name}, "test")
    with pytest.raises(BadInput, match=f"mergekit has no calibration '{name}'"):
        mergekit_text(recipe, resolve(recipe, 2), ["/a", "/b"], "base")
