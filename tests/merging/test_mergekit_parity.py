"""The same YAML in mergekit and here: on updates with mergekit's kernels, on weights with a whole run of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from test_merge_values import merged, random
from tiny_base import save_llama

from factory.core.discover import names
from factory.core.progress import silent
from factory.merging.contract import PACKAGE, load_method
from factory.merging.plan import plan_merge
from factory.merging.run import run_plan
from factory.store.factors import read_factors
from factory.store.store import Store

Make = Callable[..., Path]
BOTH = [name for name in names(PACKAGE) if load_method(name).CONTRACT.in_mergekit]
# Where a method draws at random, nothing is drawn at density 1.
DRAWN = [name for name in BOTH if load_method(name).CONTRACT.needs_seed]


@pytest.mark.parametrize("method", BOTH)
@given(
    seed=st.integers(0, 2**16),
    weights=st.lists(st.floats(0.1, 3) | st.floats(-3, -0.1), min_size=2, max_size=4),
    switches=st.tuples(st.booleans(), st.booleans()),
    density=st.floats(0.05, 0.99) | st.just(1.0),  # mergekit counts entries in fp32, where nearly all are all
    share=st.floats(0.01, 0.3),
)
@settings(max_examples=8, deadline=None)
def test_kernels_agree(
    method: str, seed: int, weights: list[float], switches: tuple[bool, bool], density: float, share: float
) -> None:
    from mergekit.merge_methods import merge_tensors

    known = load_method(method).CONTRACT.parameters
    deltas = [random(6, 5, seed=seed + i) for i in range(len(weights))]
    wanted: dict[str, Any] = {
        "normalize": switches[0],
        "rescale": switches[1],
        "density": 1.0 if method in DRAWN else density,
        "gamma": share,
        "epsilon": 0.1 if method in DRAWN else 5 * share,
        "select_topk": density,
        "lambda": 0.7,
        "r": share,
        "alpha": 0.3,
    }
    options = {name: value for name, value in wanted.items() if name in known}
    given_weights = weights if "weight" in known else None
    if options.get("normalize") and abs(sum(weights)) < 0.05:
        return
    theirs = {**options, **({"weight": weights} if given_weights else {})}
    if method == "linear":
        expected = merge_tensors(deltas, method, parameters=theirs)
    else:
        expected = merge_tensors([torch.zeros(6, 5), *deltas], method, parameters=theirs, base_index=0)
    ours = merged(list(deltas), method, given_weights, **options)
    # Agreeing weights of both signs may nearly cancel, which magnifies rounding in both.
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5 * float(1 + expected.abs().max()))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four layers, so that gradients have something to go along."""
    return save_llama(tmp_path_factory.mktemp("llama"))


BY_MODULE: dict[str, Any] = {
    "weight": [{"filter": "q_proj", "value": [0.2, 1.0, 0.6]}, {"filter": "layers.1.", "value": 1.5}, {"value": 0.8}],
    "density": [0.3, 0.9],
    "gamma": [{"filter": "mlp", "value": 0.1}],
    "epsilon": 0.02,
    "threshold": None,
    "select_topk": [0.4, 1.0],
    "lambda": [1.0, 0.5],
    "normalize": [{"filter": "mlp", "value": False}, {"value": True}],
    "r": 0.5,
    "alpha": 0.4,
    "rescale": [True, False],
}


@pytest.mark.parametrize("method", BOTH)
def test_a_recipe_by_module_does_the_same_in_mergekit(
    method: str, llama: Path, make_adapter: Make, tmp_path: Path
) -> None:
    """Gradients over layers and filters, per model and for all, as mergekit reads them."""
    from mergekit.config import MergeConfiguration
    from mergekit.io.tasks import LoaderCache
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    known = load_method(method).CONTRACT.parameters
    shared = {name: value for name, value in BY_MODULE.items() if name in known and value is not None}
    if method == "linear":
        shared["normalize"] = True  # without it whole weights are not the base plus something
    if method in DRAWN:
        shared |= {"density": 1.0, "epsilon": 0.1} if "epsilon" in known else {"density": 1.0}
    folders = [make_adapter(n, on=llama, seed=i, r=4 + i, lora_alpha=30) for i, n in enumerate("ab")]
    models = [{"model": f"{llama}+{folder}"} for folder in folders]
    if "weight" in known:
        models[1]["parameters"] = {"weight": [0.5, 1.5]}  # type: ignore[assignment]
    config: dict[str, Any] = {"merge_method": method, "models": models, "parameters": shared, "dtype": "float32"}
    if method == "linear":
        models.append({"model": str(llama), "parameters": {"weight": 0.25}})  # type: ignore[dict-item]
    else:
        config["base_model"] = str(llama)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(config))
    options = MergeOptions(quiet=True, lora_merge_cache=str(tmp_path / "cache"), random_seed=0, write_model_card=False)
    run_merge(MergeConfiguration.model_validate(config), str(tmp_path / "model"), options)
    LoaderCache.loaders.clear()
    model, start = load_file(tmp_path / "model" / "model.safetensors"), load_file(llama / "model.safetensors")
    store = Store(tmp_path / "store")
    ours = read_factors(run_plan(store, plan_merge(store, str(recipe)), silent))
    assert len(ours.modules) == 8
    for name, factors in ours.modules.items():
        theirs = model[f"{name}.weight"] - start[f"{name}.weight"]
        assert float((theirs - factors.delta()).norm() / theirs.norm()) < 1e-4, name


def test_a_filter_that_matches_nothing_is_refused_as_mergekit_does(
    llama: Path, make_adapter: Make, tmp_path: Path
) -> None:
    from factory.core.errors import BadInput

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        yaml.safe_dump({"merge_method": "ties", "parameters": {"weight": {"filter": "q_proj", "value": 1}}})
    )
    store = Store(tmp_path / "store")
    plan = plan_merge(store, str(recipe), [str(make_adapter("a", on=llama))])
    with pytest.raises(BadInput, match=r"no filter of 'weight' matches tensor 'model.layers.0.mlp.down_proj.weight'"):
        run_plan(store, plan, silent)
