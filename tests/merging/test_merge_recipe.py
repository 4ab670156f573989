"""Recipes: mergekit's schema, its defaults, and a refusal by name of everything it would ignore silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from factory.core.discover import names
from factory.core.errors import BadInput, UnknownName
from factory.core.recipes import recipe_names
from factory.merging.contract import PACKAGE, load_method
from factory.merging.recipe import parse_recipe, read_recipe, resolve


@pytest.mark.parametrize("name", recipe_names("merge recipe"))
def test_shipped_recipes_parse_here_and_in_mergekit(name: str) -> None:
    from mergekit.config import MergeConfiguration

    recipe, _ = read_recipe(name)
    plain = recipe.model_dump(exclude_none=True)
    models = [{"model": f"base+{a}", "parameters": {"weight": 1.0}} for a in "ab"]
    config = MergeConfiguration.model_validate({**plain, "models": models, "base_model": "base"})
    assert config.merge_method == recipe.merge_method


def test_what_the_shipped_recipes_say() -> None:
    linear, ties = read_recipe("linear")[0], read_recipe("ties")[0]
    assert linear.merge_method == "linear" and resolve(linear, 2).shared["normalize"] is False
    assert resolve(ties, 3).each == {"weight": [1.0] * 3, "density": [0.5] * 3}
    assert resolve(read_recipe("dare")[0], 1).shared["rescale"] is True


BOTH = [name for name in names(PACKAGE) if load_method(name).CONTRACT.in_mergekit]


@pytest.mark.parametrize("method", BOTH)
def test_parameters_and_defaults_are_mergekits(method: str) -> None:
    """What mergekit declares for every method of a family and the method itself ignores is refused here by name."""
    from mergekit.merge_methods import get

    ignored = {
        "task_arithmetic": {"density", "rescale"},
        "ties": set(),
        **{name: {"int8_mask"} for name in ("ram", "ramplus_tl")},
    }
    ours = {k: p.default for k, p in load_method(method).CONTRACT.parameters.items() if not p.ours}
    theirs = {spec.name: spec.default for spec in get(method).spec.parameters}
    assert set(theirs) - set(ours) <= ignored.get(method, set()) and set(ours) <= set(theirs)
    if "weight" in ours:
        theirs["weight"] = 1.0  # required there; the factory's weight is 1 unless something says otherwise
    if method in ("ram", "ramplus_tl"):
        theirs["epsilon"] = 0.0  # relative to each update unless one is given
    assert ours == {name: theirs[name] for name in ours}


def test_parameters_of_a_model_go_before_the_recipes_and_weights_before_both() -> None:
    plain: dict[str, Any] = {
        "merge_method": "ties",
        "parameters": {"density": 0.5, "weight": "1e-1"},
        "models": [{"model": "a", "parameters": {"weight": 2}}, {"model": "b", "parameters": {"density": 0.9}}],
    }
    recipe = parse_recipe(plain, "test")
    assert resolve(recipe, 2).each == {"weight": [2.0, 0.1], "density": [0.5, 0.9]}
    assert resolve(recipe, 2, [3, 4]).each == {"weight": [3.0, 4.0], "density": [0.5, 0.9]}


@pytest.mark.parametrize(
    "plain, says",
    [
        ({"merge_method": "tiess"}, "unknown merge method 'tiess'; did you mean 'ties'"),
        ({"merge_method": "ties", "parameters": {"densty": 0.5}}, "unknown parameter of ties 'densty'.*'density'"),
        ({"merge_method": "linear", "parameters": {"density": 0.5}}, "unknown parameter of linear 'density'"),
        ({"merge_method": "ties", "parameter": {}}, "unknown key 'parameter'; did you mean 'parameters'"),
        ({"merge_method": "ties", "models": [{"model": "a", "params": {}}]}, "params.*did you mean 'parameters'"),
        ({"merge_method": "ties", "slices": []}, "'slices' is not supported"),
        ({"merge_method": "ties", "chat_template": "auto"}, "'chat_template' is not supported"),
        ({"merge_method": "ties", "tokenizer_source": "union"}, "tokenizer_source"),
        ({"merge_method": "ties", "parameters": {"density": [0.1, 1.9]}}, "density is 1.9; expected a number in"),
        ({"merge_method": "ties", "parameters": {"density": []}}, "density is an empty list"),
        ({"merge_method": "ties", "parameters": {"weight": {"filter": 3, "value": 1}}}, "has the filter 3"),
        ({"merge_method": "ties", "parameters": {"weight": [{"filter": "q"}]}}, "has the entry {'filter': 'q'}"),
        ({"merge_method": "ties", "parameters": {"weight": [{"filter": "q", "value": 1}, 2]}}, "has the entry 2"),
        ({"merge_method": "core_space", "parameters": {"rule": "tsw"}}, "rule is 'tsw'; expected one of linear, ties"),
        ({"merge_method": "sce", "parameters": {"weight": 1}}, "unknown parameter of sce 'weight'"),
        ({"merge_method": "task_arithmetic", "parameters": {"density": 1}}, "unknown parameter of task_arithmetic"),
        ({"merge_method": "ties", "calibration": "picco"}, "unknown calibration 'picco'; did you mean 'pico'"),
        ({"merge_method": "ties", "parameters": {"density": 0}}, r"density is 0; expected a number in \(0, 1\]"),
        ({"merge_method": "ties", "parameters": {"density": 1.01}}, r"density is 1.01"),
        ({"merge_method": "dare_linear", "parameters": {"density": -0.5}}, r"density is -0.5"),
        ({"merge_method": "ties", "parameters": {"weight": ".nan"}}, "weight is '.nan'; expected a finite number"),
        ({"merge_method": "ties", "parameters": {"weight": True}}, "weight is True; expected a finite number"),
        ({"merge_method": "ties", "parameters": {"normalize": 1}}, "normalize is 1; expected true or false"),
        (
            {"merge_method": "ties", "models": [{"model": "a", "parameters": {"normalize": True}}]},
            "'normalize' holds for the whole merge",
        ),
        ({"merge_method": "ties", "models": []}, "'models' is empty"),
        ({"merge_method": "ties", "dtype": "int8"}, "dtype"),
        ({}, "'merge_method' is missing"),
    ],
)
def test_refused_by_name(plain: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        parse_recipe(plain, "recipe.yaml")
    assert str(caught.value).startswith("recipe.yaml")


@pytest.mark.parametrize(
    "inputs, weights, says",
    [
        (0, None, "linear takes 1 or more adapters, got 0"),
        (3, [1.0, 2.0], "2 weights for 3 adapters"),
        (2, [1.0, 2.0, 3.0], "3 weights for 2 adapters"),
        (2, [1.0, float("nan")], "weight is nan"),
        (2, [1.0, float("inf")], "weight is inf"),
    ],
)
def test_inputs_and_weights_that_do_not_fit(inputs: int, weights: list[float] | None, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        resolve(parse_recipe({"merge_method": "linear"}, "test"), inputs, weights)


def test_unknown_recipe_and_broken_file(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'linear'"):
        read_recipe("liner")
    with pytest.raises(BadInput, match="no such file"):
        read_recipe(str(tmp_path / "x.yaml"))


def test_planning_needs_no_torch() -> None:
    import subprocess
    import sys

    code = """
import sys
from factory.merging.build import merge_key
from factory.merging.contract import load_method
from factory.merging.plan import plan_merge
from factory.merging.recipe import read_recipe, resolve
from factory.core.discover import names
from factory.merging import calibration, contract
for name in ("linear", "ties", "dare"):
    resolve(read_recipe(name)[0], 2)
for name in names(contract.PACKAGE):
    load_method(name)
for name in names(calibration.PACKAGE):
    calibration.load_calibration(name)
print(sorted({"torch", "peft", "mergekit", "transformers", "safetensors"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
