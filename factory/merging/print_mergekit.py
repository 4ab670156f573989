"""A recipe as mergekit would run it, on full models: the same method, inputs and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from factory.core.errors import BadInput
from factory.merging.contract import contract_of
from factory.merging.recipe import MergeRecipe, Resolved


def mergekit_config(
    recipe: MergeRecipe, resolved: Resolved, folders: Sequence[str | None], base: str | None
) -> tuple[dict[str, Any], list[str]]:
    """mergekit's configuration with every parameter written out, models as `{model, lora}` parts; and notes on it.

    Args:
        recipe: as read.
        resolved: its parameters for these inputs.
        folders: adapter folders, in order; None is the base itself.
        base: hub id or folder.

    Raises:
        BadInput: the base is not known, or mergekit has no such method or would ignore what the recipe says.
    """
    method = recipe.merge_method
    contract = contract_of(method)
    if base is None:
        raise BadInput("mergekit needs the base model and the adapters do not name one; give --base")
    if not contract.in_mergekit:
        raise BadInput(f"mergekit has no method '{method}'; it is one of ours")
    if recipe.calibration is not None:
        raise BadInput(f"mergekit has no calibration '{recipe.calibration}' and would ignore it; take it out")
    base = str(Path(base).resolve()) if Path(base).is_dir() else base
    known = {name for name, parameter in contract.parameters.items() if not parameter.ours}
    shared = {name: setting for name, setting in resolved.shared.items() if name in known}
    models: list[dict[str, Any]] = []
    for number, folder in enumerate(folders):
        parameters = {name: values[number] for name, values in resolved.each.items() if name in known}
        models.append({"model": _reference(base, folder), "parameters": parameters})
    notes = [contract.mergekit_differs] if contract.mergekit_differs else []
    if method == "linear" and resolved.shared["normalize"] is not True:
        # On whole weights sum w_i (base + D_i) would take the base sum w_i times; the rest of 1 goes to the base.
        if any(isinstance(weight, list) for weight in resolved.each["weight"]):
            raise BadInput("mergekit needs one weight for the base, which gradients leave open; use task_arithmetic")
        rest = 1 - sum(resolved.each["weight"])
        if abs(rest) > 1e-12:
            models.append({"model": _reference(base, None), "parameters": {"weight": rest}})
            notes.append("the base is an input with the rest of the weights, so that it is counted once")
    config: dict[str, Any] = {"merge_method": method}
    if not contract.weighs_base and (recipe.base_model or not contract.base_optional):
        config["base_model"] = _reference(base, None)
    return config | {"models": models, "parameters": shared, "dtype": "float32"}, notes


def mergekit_text(recipe: MergeRecipe, resolved: Resolved, folders: Sequence[str | None], base: str | None) -> str:
    """The configuration as YAML, models as `base+adapter` where no path has one of mergekit's signs.

    Raises:
        BadInput: as `mergekit_config`.
    """
    config, notes = mergekit_config(recipe, resolved, folders, base)
    if "base_model" in config:
        config["base_model"] = _short(config["base_model"])
    config["models"] = [{**model, "model": _short(model["model"])} for model in config["models"]]
    return "".join(f"# {note}\n" for note in notes) + yaml.safe_dump(config, sort_keys=False)


def _reference(base: str, folder: str | None) -> dict[str, Any]:
    return {"model": {"path": base}, **({"lora": {"path": folder}} if folder else {})}


def _short(reference: dict[str, Any]) -> Any:
    paths = [part["path"] for part in reference.values()]
    return reference if any(sign in path for sign in "+@" for path in paths) else "+".join(paths)
