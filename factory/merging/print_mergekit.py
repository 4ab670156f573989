"""A recipe as mergekit would run it, on full models: the same method, inputs and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from factory.core.errors import BadInput
from factory.merging.contract import load_method
from factory.merging.recipe import MergeRecipe, Resolved


def mergekit_text(recipe: MergeRecipe, resolved: Resolved, folders: Sequence[str | None], base: str | None) -> str:
    """The recipe with every input as `base+adapter` and every parameter written out.

    Args:
        recipe: as read.
        resolved: its parameters for these inputs.
        folders: adapter folders, in order; None is the base itself.
        base: hub id or folder.

    Raises:
        BadInput: the base is not known, or mergekit has no such method.
    """
    contract = load_method(recipe.merge_method).CONTRACT
    if base is None:
        raise BadInput("mergekit needs the base model and the adapters do not name one; give --base")
    if not contract.in_mergekit:
        raise BadInput(f"mergekit has no method '{recipe.merge_method}'; it is one of ours")
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
    if contract.weighs_base and resolved.shared["normalize"] is not True:
        # On whole weights sum w_i (base + D_i) would take the base sum w_i times; the rest of 1 goes to the base.
        if any(isinstance(weight, list) for weight in resolved.each["weight"]):
            raise BadInput("mergekit needs one weight for the base, which gradients leave open; use task_arithmetic")
        rest = 1 - sum(resolved.each["weight"])
        if abs(rest) > 1e-12:
            models.append({"model": base, "parameters": {"weight": rest}})
            notes.append("the base is an input with the rest of the weights, so that it is counted once")
    config: dict[str, Any] = {"merge_method": recipe.merge_method}
    if not contract.weighs_base:
        config["base_model"] = base
    config |= {"models": models, "parameters": shared, "dtype": "float32"}
    return "".join(f"# {note}\n" for note in notes) + yaml.safe_dump(config, sort_keys=False)


def _reference(base: str, folder: str | None) -> Any:
    if folder is None:
        return base
    if any(sign in base + folder for sign in "+@"):
        return {"model": {"path": base}, "lora": {"path": folder}}
    return f"{base}+{folder}"
