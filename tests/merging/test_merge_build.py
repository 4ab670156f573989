"""Merges as jobs: into the store once, read back, and baked into a model that answers as base and adapter do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from tiny_base import peft_deltas

from factory.core.errors import BadInput, UnknownName, WorkFailed
from factory.core.progress import silent
from factory.merging.build import build, check_written, merge_key
from factory.merging.plan import plan_merge
from factory.merging.run import check_plan, run_plan, summary
from factory.store.factors import read_factors
from factory.store.store import Store
from factory.store.tensors import TensorReader, as_bytes, checksum

Make = Callable[..., Path]

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def pair(make_adapter: Make) -> list[str]:
    return [
        str(make_adapter("math", seed=1)),
        str(make_adapter("sql", seed=2, r=2, target_modules=["q_proj", "o_proj"])),
    ]


def test_into_the_store_and_out_again(store: Store, pair: list[str], base: Path) -> None:
    plan = plan_merge(store, "linear", pair, weights=[0.5, 0.25])
    folder = run_plan(store, plan, silent)
    assert plan.ref.name == "linear-math-sql" and plan.ref.kind == "merge"
    card = store.card(plan.ref)
    assert card["method"] == "linear" and card["weights"] == [0.5, 0.25] and card["rank"] == "full"
    assert card["parents"] == [item["key"] for item in plan.spec["inputs"]] and card["base"]["path"] == str(base)
    assert card["merge"]["energy_kept"] == 1 and card["merge"]["relative_error"] == 0
    assert len(card["merge"]["per_module"]) == 6
    written = (folder / WEIGHTS).stat().st_mtime_ns
    assert run_plan(store, plan, silent) == folder and (folder / WEIGHTS).stat().st_mtime_ns == written
    one, two, got = (peft_deltas(base, Path(p)) for p in [*pair, folder])
    name = "model.layers.1.self_attn.q_proj"
    torch.testing.assert_close(got[name], 0.5 * one[name] + 0.25 * two[name])
    # A merge is an adapter: by name in the store it can be merged again.
    again = run_plan(store, plan_merge(store, "linear", ["merge:linear-math-sql"], weights=[2]), silent)
    torch.testing.assert_close(peft_deltas(base, again)[name], one[name] + 0.5 * two[name])


def test_the_key_is_everything_that_went_in_and_nothing_else(store: Store, pair: list[str], tmp_path: Path) -> None:
    def key(**changes: Any) -> str:
        options = {"recipe_name": "ties", "adapters": pair, **changes}
        return plan_merge(store, **options).ref.key

    first = key()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in Path(pair[0]).iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    assert key(adapters=[str(moved), pair[1]]) == first
    different = [
        key(weights=[1, 2]),
        key(rank=3),
        key(rank="auto"),
        key(recipe_name="linear"),
        key(adapters=pair[:1]),
        key(seed=1),
    ]
    assert len({first, *different}) == len(different) + 1
    tensors = load_file(moved / WEIGHTS)
    save_file({name: tensor * 1.001 for name, tensor in tensors.items()}, moved / WEIGHTS)
    assert key(adapters=[str(moved), pair[1]]) != first


def test_out_folder(store: Store, pair: list[str], tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    plan = plan_merge(store, "ties", pair, rank=3)
    assert run_plan(store, plan, silent, out=out) == out
    result = summary(out)
    assert result["merge"]["rank"] == 3 and 0 < result["merge"]["relative_error"] < 1
    assert sorted(p.name for p in out.parent.iterdir()) == ["out"] and not list(store.refs())
    with pytest.raises(BadInput, match="is not empty"):
        run_plan(store, plan, silent, out=out)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="is a file"):
        run_plan(store, plan, silent, out=tmp_path / "file")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run_plan(store, plan, silent, out=empty) == empty


def test_a_failed_merge_leaves_nothing(store: Store, pair: list[str], tmp_path: Path) -> None:
    path = Path(pair[1]) / WEIGHTS
    tensors = load_file(path)
    next(iter(tensors.values()))[0, 0] = torch.nan
    save_file(tensors, path)
    plan = plan_merge(store, "linear", pair)
    for out in (None, tmp_path / "out"):
        with pytest.raises(BadInput, match="holds NaN"):
            run_plan(store, plan, silent, out=out)
    assert not list(store.refs()) and not (tmp_path / "out").exists()
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".partial")]


def test_a_result_that_is_not_what_was_meant_is_not_done(store: Store, pair: list[str], base: Path) -> None:
    folder = run_plan(store, plan_merge(store, "linear", pair), silent)
    with TensorReader(folder / WEIGHTS) as file:
        expected = {name: checksum(as_bytes(file.read(name))) for name in file.entries}
    check_written(folder, expected, str(base))
    tensors = load_file(folder / WEIGHTS)
    name = sorted(tensors)[0]
    save_file({**tensors, name: tensors[name] * 1.0001}, folder / WEIGHTS)
    with pytest.raises(WorkFailed, match="on disk is not what was merged"):
        check_written(folder, expected, None)
    save_file(tensors, folder / WEIGHTS)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["q_proj"]}))
    with pytest.raises(WorkFailed, match="PEFT does not adapt"):
        check_written(folder, expected, str(base))


def test_names_that_mean_nothing(store: Store, pair: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run_plan(store, plan_merge(store, "linear", pair), silent)
    with pytest.raises(UnknownName, match="did you mean 'linear-math-sql'"):
        plan_merge(store, "linear", ["linear-math-sq"])
    with pytest.raises(BadInput, match="no such folder"):
        plan_merge(store, "linear", ["./nothing"])
    with pytest.raises(UnknownName, match="unknown base 'embedded@7'"):
        plan_merge(store, "linear", pair, base="embedded@7")
    with pytest.raises(BadInput, match=r"nobase: no config\.json"):
        plan_merge(store, "linear", pair, base="./nobase")
    with pytest.raises(BadInput, match=r"adapter_config\.json"):
        plan_merge(store, "linear", [str(store.root)])


def test_models_in_the_recipe(store: Store, pair: list[str], base: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    models = [{"model": f"{base}+{pair[0]}", "parameters": {"weight": 0.5}}, {"model": pair[1]}, {"model": str(base)}]
    recipe.write_text(yaml.safe_dump({"merge_method": "ties", "base_model": str(base), "models": models}))
    plan = plan_merge(store, str(recipe))
    assert [item["folder"] for item in plan.spec["inputs"]] == pair and plan.resolved.each["weight"] == [0.5, 1.0]
    assert len(check_plan(plan)["inputs"]) == 2
    build(store, plan.ref, plan.spec, silent)
    assert merge_key(plan.spec) == plan.ref.key
    with pytest.raises(BadInput, match="names its own 'models'"):
        plan_merge(store, str(recipe), pair)


@pytest.mark.parametrize("method, weights", [("linear", [0.7, 0.7]), ("ties", [1.0, 0.5])])
def test_printed_recipe_does_the_same_in_mergekit(
    method: str, weights: list[float], store: Store, pair: list[str], base: Path, tmp_path: Path
) -> None:
    from mergekit.config import MergeConfiguration
    from mergekit.io.tasks import LoaderCache
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    plan = plan_merge(store, method, pair, weights=weights)
    text = plan.mergekit()
    options = MergeOptions(quiet=True, lora_merge_cache=str(tmp_path / "cache"), random_seed=0, write_model_card=False)
    run_merge(MergeConfiguration.model_validate(yaml.safe_load(text)), str(tmp_path / "model"), options)
    LoaderCache.loaders.clear()
    model, start = load_file(tmp_path / "model" / "model.safetensors"), load_file(base / "model.safetensors")
    for name, delta in peft_deltas(base, run_plan(store, plan, silent)).items():
        theirs = model[f"{name}.weight"] - start[f"{name}.weight"]
        assert float((theirs - delta).norm() / delta.norm()) < 1e-4, name
    untouched = "model.layers.0.mlp.gate_proj.weight"
    torch.testing.assert_close(model[untouched], start[untouched])
    # The printed recipe is a recipe here too, with the same result.
    (tmp_path / "printed.yaml").write_text(text)
    again = run_plan(store, plan_merge(store, str(tmp_path / "printed.yaml")), silent)
    for name, factors in read_factors(again).modules.items():
        torch.testing.assert_close(factors.delta(), peft_deltas(base, again)[name])
        theirs = model[f"{name}.weight"] - start[f"{name}.weight"]
        assert float((theirs - factors.delta()).norm() / theirs.norm()) < 1e-4, name


def test_model_answers_as_base_and_adapter_do(store: Store, pair: list[str], base: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    plan = plan_merge(store, "ties", pair, rank="auto")
    folder = run_plan(store, plan, silent, model=True, out=tmp_path / "with+plus@sign")
    assert summary(folder)["logits_difference"] < 1e-4
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == AutoTokenizer.from_pretrained(base).get_vocab()
    # A retrained adapter at the same path gives the new weights: mergekit's caches do not.
    before = load_file(folder / "model.safetensors")
    tensors = load_file(Path(pair[0]) / WEIGHTS)
    save_file({n: t * (2 if "lora_A" in n else 1) for n, t in tensors.items()}, Path(pair[0]) / WEIGHTS)
    again = run_plan(store, plan_merge(store, "ties", pair, rank="auto"), silent, model=True)
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.allclose(before[name], load_file(again / "model.safetensors")[name])


def test_model_needs_a_base(store: Store, make_adapter: Make) -> None:
    plan = plan_merge(store, "linear", [str(make_adapter("a", edit={"base_model_name_or_path": None}))])
    with pytest.raises(BadInput, match="give --base"):
        run_plan(store, plan, silent, model=True)
