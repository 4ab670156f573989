"""Every method of mergekit is reachable for a full model; what it would ignore is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tiny_base import peft_deltas

from factory.core.discover import names
from factory.core.errors import BadInput, UnknownName
from factory.core.progress import silent
from factory.merging.contract import PACKAGE, contract_of
from factory.merging.mergekit_methods import CONTRACTS
from factory.merging.plan import plan_merge
from factory.merging.recipe import parse_recipe
from factory.merging.run import run_plan, summary
from factory.store.store import Store

Make = Callable[..., Path]
NEEDED: dict[str, dict[str, Any]] = {
    "slerp": {"t": 0.4},
    "nearswap": {"t": 0.01},
    "nuslerp": {"weight": 0.5},
    "multislerp": {"weight": 0.5},
}


def test_all_twenty_are_known() -> None:
    from mergekit.merge_methods import registered_methods

    assert len(registered_methods()) == 20
    for method in registered_methods():
        assert contract_of(method.spec.name).in_mergekit, method.spec.name


@pytest.mark.parametrize("name", CONTRACTS)
def test_declared_as_mergekit_declares_them(name: str) -> None:
    from mergekit.merge_methods import get
    from mergekit.merge_methods.base import BasePolicy, ParameterScope

    ours, spec = CONTRACTS[name], get(name).spec
    assert name not in names(PACKAGE)
    assert {p.name: p.required for p in spec.parameters} == {k: p.required for k, p in ours.parameters.items()}
    for parameter in spec.parameters:
        declared = ours.parameters[parameter.name]
        assert declared.each == (parameter.scope != ParameterScope.SHARED)
        if not parameter.required and parameter.default is not None:
            assert declared.default == parameter.default
    contract = spec.contract
    assert ours.weighs_base == (contract.base == BasePolicy.IGNORED)
    assert ours.base_optional == (contract.base == BasePolicy.OPTIONAL)
    with_base = int(contract.base == BasePolicy.REQUIRED)
    most = contract.max_non_base or (contract.max_inputs and contract.max_inputs - with_base)
    assert ours.inputs == (max(contract.min_non_base or 0, contract.min_inputs - with_base, 1), most)


@pytest.fixture
def pair(make_adapter: Make) -> list[Path]:
    return [make_adapter("a", seed=1), make_adapter("b", seed=2, r=2)]


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_merges_whole_models(name: str, pair: list[Path], base: Path, tmp_path: Path) -> None:
    from mergekit.merge_methods import merge_tensors

    contract, parameters = contract_of(name), NEEDED.get(name, {})
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"merge_method": name, "parameters": parameters}))
    chosen = pair[: contract.inputs[1] or 2]
    store = Store(tmp_path / "store")
    plan = plan_merge(store, str(tmp_path / "r.yaml"), [str(p) for p in chosen], base=str(base))
    folder = run_plan(store, plan, silent, model=True)
    assert summary(folder)["runner"] == "mergekit" and (folder / "tokenizer.json").is_file()
    got, start = load_file(folder / "model.safetensors"), load_file(base / "model.safetensors")
    tensor = "model.layers.1.mlp.down_proj"
    weight = start[f"{tensor}.weight"]
    models = [weight + peft_deltas(base, p)[tensor] for p in chosen]
    with_base = not (contract.weighs_base or contract.base_optional)
    expected = merge_tensors(
        [weight, *models] if with_base else models,
        name,
        parameters={k: [v] * len(models) if k == "weight" else v for k, v in parameters.items()},
        base_index=0 if with_base else None,
    )
    torch.testing.assert_close(got[f"{tensor}.weight"], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(BadInput, match="merges whole models; use --to model"):
        run_plan(store, plan, silent)


def test_mergekit_itself_on_request_agrees_with_ours(pair: list[Path], base: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    folders = []
    for runner in ("factory", "mergekit"):
        plan = plan_merge(store, "ties", [str(p) for p in pair], base=str(base), runner=runner)
        folders.append(run_plan(store, plan, silent, model=True))
    ours, theirs = (load_file(folder / "model.safetensors") for folder in folders)
    assert folders[0] != folders[1] and set(ours) == set(theirs)
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "recipe, count, says",
    [
        ({"merge_method": "slerp"}, 1, "slerp needs 't' and there is no default"),
        ({"merge_method": "slerp", "parameters": {"t": 0.5}}, 2, "slerp takes exactly 1 adapters, got 2"),
        ({"merge_method": "slerp", "parameters": {"t": 0.5, "weight": 1}}, 1, "unknown parameter of slerp 'weight'"),
        ({"merge_method": "model_stock"}, 1, "model_stock takes 2 or more adapters"),
        ({"merge_method": "karcher", "parameters": {"iterations": 3}}, 2, "unknown parameter of karcher"),
        ({"merge_method": "nuslerp", "parameters": {}}, 2, "nuslerp needs 'weight'"),
        ({"merge_method": "slrp"}, 1, "did you mean 'slerp'"),
        ({"merge_method": "tsv"}, 1, "mergekit has no method 'tsv'"),
        ({"merge_method": "ties", "calibration": "pico"}, 1, "mergekit has no calibration 'pico'"),
    ],
)
def test_what_mergekit_would_ignore_or_trip_over_is_refused(
    recipe: dict[str, Any], count: int, says: str, pair: list[Path], base: Path, tmp_path: Path
) -> None:
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    store = Store(tmp_path / "store")
    with pytest.raises((BadInput, UnknownName), match=says):
        plan = plan_merge(
            store, str(tmp_path / "r.yaml"), [str(p) for p in pair[:count]], base=str(base), runner="mergekit"
        )
        run_plan(store, plan, silent, model=True)
    assert not any(itertools.islice(store.refs("model"), 1))


def test_what_mergekit_ignores_silently_is_refused_by_name() -> None:
    """density does nothing to task_arithmetic there, weight nothing to sce, and any misspelling nothing at all."""
    for method, name in [("task_arithmetic", "density"), ("sce", "weight"), ("ram", "weight"), ("ties", "densty")]:
        with pytest.raises(UnknownName, match=f"unknown parameter of {method} '{name}'"):
            parse_recipe({"merge_method": method, "parameters": {name: 0.5}}, "recipe.yaml")


def test_nan_that_mergekit_writes_is_no_result(base: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import save_file

    from factory.core.errors import WorkFailed
    from factory.merging.mergekit_door import run

    broken = shutil.copytree(base, tmp_path / "broken")
    tensors = load_file(base / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    tensors[name][3, 3] = torch.nan
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "out").mkdir()
    config = {"merge_method": "passthrough", "models": [{"model": {"model": {"path": str(broken)}}}]}
    with pytest.raises(WorkFailed, match=f"passthrough wrote NaN or Inf into tensor '{name}'"):
        run({**config, "dtype": "float32"}, broken, tmp_path / "out")
