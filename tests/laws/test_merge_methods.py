"""Laws of every merge method: a newcomer's file is tested the moment it is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.core.discover import names
from factory.core.hashing import key_of
from factory.merging.contract import PACKAGE, Contract, Settings, load_method
from factory.merging.inputs import Input
from factory.merging.merge import merge_adapters
from factory.merging.recipe import parse_recipe
from factory.store.factors import AdapterFactors, Factors
from factory.store.write_adapter import write_adapter

SHAPES = {"model.layers.0.mlp.up_proj": (12, 8), "model.layers.1.mlp.up_proj": (8, 12), "model.layers.1.q": (6, 6)}
METHODS = names(PACKAGE)


def adapter(seed: int, rank: int = 3, scale: float = 0.3) -> AdapterFactors:
    """Random factors; the module a seed divides by 3 leaves out is absent, so target sets differ."""
    generator = torch.Generator().manual_seed(seed)
    modules = {}
    for number, (name, (d_out, d_in)) in enumerate(SHAPES.items()):
        pair = torch.randn(rank, d_in, generator=generator), torch.randn(d_out, rank, generator=generator)
        if number != seed % 3 or number == 0:
            modules[name] = Factors(pair[0] * scale, pair[1] * scale)
    return AdapterFactors(modules, base="base")


def inputs_of(adapters: list[AdapterFactors]) -> list[Input]:
    return [Input(f"a{number}", key_of("test", number), item) for number, item in enumerate(adapters)]


def recipe_of(method: str, **parameters: Any) -> Any:
    return parse_recipe({"merge_method": method, "parameters": parameters}, "test")


def weights_of(method: str, weights: Sequence[float]) -> list[float] | None:
    """The weights, or none for a method that weighs its inputs itself."""
    return list(weights) if "weight" in load_method(method).CONTRACT.parameters else None


def enough(method: str, adapters: list[AdapterFactors]) -> list[AdapterFactors]:
    """As many of the adapters as the method takes."""
    least, most = load_method(method).CONTRACT.inputs
    if len(adapters) < least:
        pytest.skip(f"{method} needs {least} inputs")
    return adapters[:most]


def assert_same_update(one: AdapterFactors, two: AdapterFactors, tolerance: float) -> None:
    assert set(one.modules) == set(two.modules)
    for name in one.modules:
        expected = two.modules[name].delta().double()
        difference = one.modules[name].delta().double() - expected
        assert float(difference.norm()) <= tolerance * max(float(expected.norm()), 1e-30), name


@pytest.mark.parametrize("name", METHODS)
def test_contract_is_declared(name: str) -> None:
    contract = load_method(name).CONTRACT
    assert isinstance(contract, Contract) and contract.paper
    if "weight" in contract.parameters:
        assert contract.parameters["weight"].each and contract.parameters["weight"].default == 1.0
    assert set(contract.identity or {}) <= set(contract.parameters)
    for key, parameter in contract.parameters.items():
        assert parameter.check(parameter.default, key) == parameter.default


@pytest.mark.parametrize("name", METHODS)
@given(seed=st.integers(0, 2**16), rank=st.integers(1, 5))
@settings(max_examples=8, deadline=None)
def test_one_adapter_with_weight_1_is_itself(name: str, seed: int, rank: int) -> None:
    contract = load_method(name).CONTRACT
    if contract.inputs[0] > 1 or contract.identity is None:
        pytest.skip("takes several inputs, or declares that it changes a single one too")
    single = adapter(seed, rank)
    merged, report = merge_adapters(inputs_of([single]), recipe_of(name, **contract.identity), weights_of(name, [1.0]))
    assert_same_update(merged, single, 1e-6)
    assert report.total.to_json()["relative_error"] < 1e-6


@pytest.mark.parametrize("name", METHODS)
@given(order=st.permutations([0, 1, 2]), weights=st.tuples(*[st.floats(0.1, 2)] * 3))
@settings(max_examples=8, deadline=None)
def test_order_of_inputs_does_not_matter(name: str, order: list[int], weights: tuple[float, ...]) -> None:
    if load_method(name).CONTRACT.ordered:
        pytest.skip("declared to depend on the order")
    items = inputs_of(enough(name, [adapter(1, 2), adapter(2, 3), adapter(4, 4)]))
    order = [i for i in order if i < len(items)]
    one, _ = merge_adapters(items, recipe_of(name), weights_of(name, weights[: len(items)]), seed=3)
    two, _ = merge_adapters(
        [items[i] for i in order], recipe_of(name), weights_of(name, [weights[i] for i in order]), seed=3
    )
    assert_same_update(one, two, 0.0)


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_bits(name: str) -> None:
    contract = load_method(name).CONTRACT
    drawn = {"density": 0.5} if "density" in contract.parameters else {}
    items = inputs_of(enough(name, [adapter(1, 8), adapter(2, 8), adapter(4, 8)]))
    first, again, other = (merge_adapters(items, recipe_of(name, **drawn), seed=seed)[0] for seed in (5, 5, 6))
    for module, factors in first.modules.items():
        assert torch.equal(factors.lora_A, again.modules[module].lora_A)
        assert torch.equal(factors.lora_B, again.modules[module].lora_B)
    if contract.needs_seed:
        with pytest.raises(AssertionError):
            assert_same_update(first, other, 1e-3)
    else:
        assert_same_update(first, other, 0.0)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("rank", [1, 4, "auto"])
def test_a_lower_rank_is_the_best_one(name: str, rank: Any) -> None:
    """Eckart and Young: no factors of that rank are nearer to the full result, and the loss is reported exactly."""
    items = inputs_of(enough(name, [adapter(1), adapter(2), adapter(4)]))
    full, _ = merge_adapters(items, recipe_of(name), seed=1)
    low, report = merge_adapters(items, recipe_of(name), rank=rank, seed=1)
    for module, factors in low.modules.items():
        dense = full.modules[module].delta().double()
        tail = torch.linalg.svdvals(dense)[factors.rank :].square().sum()
        lost = (factors.delta().double() - dense).square().sum()
        torch.testing.assert_close(lost, tail, rtol=1e-4, atol=1e-9)
        assert abs(report.modules[module].lost - float(tail)) <= 1e-5 * float(dense.square().sum())
        if rank == "auto" and float(dense.square().sum()):
            assert report.modules[module].to_json()["energy_kept"] >= 0.99
        else:
            assert factors.rank <= rank


@pytest.mark.parametrize("name", METHODS)
@given(seed=st.integers(0, 2**16))
@settings(max_examples=5, deadline=None)
def test_only_the_update_counts_and_not_how_it_is_factored(name: str, seed: int) -> None:
    """(B G, G^-1 A) is the same adapter for every invertible G."""
    drawn = {"density": 0.5} if "density" in load_method(name).CONTRACT.parameters else {}
    generator = torch.Generator().manual_seed(seed)
    items = enough(name, [adapter(1), adapter(2), adapter(4)])
    turned = []
    for item in items:
        modules = {}
        for module, factors in item.modules.items():
            G = torch.linalg.qr(torch.randn(factors.rank, factors.rank, generator=generator, dtype=torch.float64)).Q * 2
            modules[module] = Factors(
                (torch.linalg.inv(G) @ factors.lora_A.double()).float(), (factors.lora_B.double() @ G).float()
            )
        turned.append(AdapterFactors(modules, base="base"))
    one, _ = merge_adapters(inputs_of(items), recipe_of(name, **drawn), seed=2)
    two, _ = merge_adapters(inputs_of(turned), recipe_of(name, **drawn), seed=2)
    assert_same_update(one, two, 1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_an_input_with_weight_0_and_an_absent_module_add_nothing(name: str) -> None:
    contract = load_method(name).CONTRACT
    if contract.inputs[0] > 1 or contract.inputs[1] is not None:
        pytest.skip("takes a fixed number of inputs")
    item = adapter(1)
    items = inputs_of([item, adapter(2)])
    if "weight" in contract.parameters:
        two, _ = merge_adapters(items, recipe_of(name), [1.0, 0.0])
    else:
        two, _ = merge_adapters([items[0], Input("b", "b", AdapterFactors({}))], recipe_of(name))
    alone, _ = merge_adapters(items[:1], recipe_of(name), weights_of(name, [1.0]))
    for module, factors in two.modules.items():
        expected = alone.modules.get(module, Factors.zero(SHAPES[module])).delta()
        torch.testing.assert_close(factors.delta(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_kernel_agrees_with_the_space_it_declares(name: str) -> None:
    method = load_method(name)
    parts = [item.modules["model.layers.0.mlp.up_proj"] for item in enough(name, [adapter(1), adapter(2), adapter(4)])]
    shared = {key: p.default for key, p in method.CONTRACT.parameters.items() if not p.each}
    each = {key: [float(p.default)] * len(parts) for key, p in method.CONTRACT.parameters.items() if p.each}
    merged = method.merge(parts, Settings(shared, each, list(range(len(parts)))))
    assert isinstance(merged, Factors if method.CONTRACT.space == "factors" else torch.Tensor)
    dense = merged.delta() if isinstance(merged, Factors) else merged
    assert dense.shape == parts[0].shape and dense.dtype == torch.float32


@pytest.mark.parametrize("name", METHODS)
def test_reloads_in_peft(name: str, tmp_path: Path) -> None:
    from peft import PeftModel
    from torch import nn

    class Layer(nn.Module):
        def __init__(self, *linears: tuple[str, int, int]) -> None:
            super().__init__()
            for key, d_in, d_out in linears:
                self.add_module(key, nn.Linear(d_in, d_out))

    layers = nn.ModuleList([nn.ModuleDict({"mlp": Layer(("up_proj", 8, 12))})])
    layers.append(nn.ModuleDict({"mlp": Layer(("up_proj", 12, 8)), "q": nn.Linear(6, 6)}))
    net = nn.ModuleDict({"model": nn.ModuleDict({"layers": layers})})
    items = inputs_of(enough(name, [adapter(1, 2), adapter(2, 5), adapter(4, 3)]))
    merged, _ = merge_adapters(items, recipe_of(name), rank="auto", seed=1)
    write_adapter(tmp_path, AdapterFactors(merged.modules, task_type=None))
    loaded = PeftModel.from_pretrained(net, str(tmp_path))
    found = {
        n.removeprefix("base_model.model."): m for n, m in loaded.named_modules() if hasattr(m, "get_delta_weight")
    }
    assert set(found) == set(merged.modules)
    for module, factors in merged.modules.items():
        torch.testing.assert_close(found[module].get_delta_weight("default"), factors.delta(), rtol=1e-6, atol=1e-7)
