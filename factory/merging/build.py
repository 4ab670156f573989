"""The jobs of merging: from a spec in JSON to a finished folder, read back and compared before it counts as done.

A merge's spec: `recipe` (as `MergeRecipe` prints itself), `inputs` (`title`, `folder`, `key` of finished adapters; a
null folder is the base itself), `weights` or null, `rank`, `seed`, `base` (`path`, `hash`, `revision`, `label`; any may
be null).
A model's spec: `adapter` (`folder`, `key`, `title`), `base`, `seed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.core import discover
from factory.core.errors import CorruptFile, WorkFailed
from factory.core.hashing import key_of
from factory.core.progress import Report
from factory.merging.contract import PACKAGE, load_method
from factory.merging.inputs import base_input, check_base, check_same_base, read_input, trained_tasks
from factory.merging.merge import merge_adapters
from factory.merging.recipe import parse_recipe
from factory.store.factors import AdapterFactors, read_factors
from factory.store.ref import Ref
from factory.store.store import Store
from factory.store.write_adapter import write_adapter


def merge_key(spec: Mapping[str, Any]) -> str:
    """The content key of a merge: everything of its spec that its result depends on, and nothing else."""
    recipe = spec["recipe"]
    contract = load_method(recipe["merge_method"]).CONTRACT
    code = discover.source_digest(PACKAGE, recipe["merge_method"]) or contract.version
    models = [entry.get("parameters", {}) for entry in recipe.get("models") or []]
    inputs = [item["key"] for item in spec["inputs"]]
    base = spec.get("base") or {}
    return key_of(
        "merge",
        {**recipe, "models": models},
        code,
        inputs,
        spec.get("weights"),
        spec.get("rank", "full"),
        spec.get("seed", 0),
        base.get("hash"),
    )


def build(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Merge finished adapters into the store.

    Raises:
        BadInput: an input cannot be merged, or they do not belong together.
        WorkFailed: the result on disk is not what was computed.
    """
    return store.build(ref, lambda out, _state: merge_into(out, spec, report))


def merge_into(out: Path, spec: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Merge into an empty folder; gives the card's fields.

    Raises:
        BadInput, WorkFailed: as `build`.
    """
    recipe = parse_recipe(spec["recipe"], "recipe")
    inputs = [
        read_input(item["title"], Path(item["folder"]), item["key"]) if item["folder"] else base_input(item["title"])
        for item in spec["inputs"]
    ]
    base = spec.get("base") or {}
    check_same_base(inputs)
    check_base(inputs, base)
    rank, seed = spec.get("rank", "full"), spec.get("seed", 0)
    merged, losses = merge_adapters(inputs, recipe, spec.get("weights"), rank, seed, report=report)
    write_adapter(out, merged, dtype=recipe.stored_dtype)
    report("reading it back", None)
    check_written(out, merged, base.get("path"))
    return {
        "recipe": spec["recipe"],
        "method": recipe.merge_method,
        "parents": [item["key"] for item in spec["inputs"]],
        "inputs": [item["title"] for item in spec["inputs"]],
        "weights": losses.settings.each.get("weight"),
        "rank": rank,
        "seed": seed,
        "trained_tasks": trained_tasks([Path(item["folder"]) for item in spec["inputs"] if item["folder"]]),
        "merge": losses.to_json(),
        "base": {**base, "path": base.get("path") or merged.base, "hash": base.get("hash") or inputs[0].base_hash},
    }


def check_written(folder: Path, expected: AdapterFactors, base: str | None) -> None:
    """Read a written adapter back, through PEFT too where its base is a folder here, and compare every factor.

    Raises:
        WorkFailed: it is not, to the last bit, what was meant.
    """
    import torch

    try:
        written = read_factors(folder)
    except CorruptFile as error:
        raise WorkFailed(f"the merge was written and cannot be read back: {error}") from error
    for name, factors in expected.modules.items():
        other = written.modules.get(name)
        if other is None or not (
            torch.equal(other.lora_A, factors.lora_A) and torch.equal(other.lora_B, factors.lora_B)
        ):
            raise WorkFailed(f"{folder}: module '{name}' on disk is not what was merged")
    if base and (Path(base) / "config.json").is_file():
        from factory.merging.peft_door import check_loads

        check_loads(folder, Path(base), expected)


def build_model(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Bake a finished adapter into its base: a full model in the store.

    Raises:
        BadInput: the base is not there, or not the adapter's.
        WorkFailed: the model does not answer as base and adapter do.
    """
    return store.build(ref, lambda out, _state: bake_into(out, spec, report))


def bake_into(out: Path, spec: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Bake into an empty folder; gives the card's fields.

    Raises:
        BadInput, WorkFailed: as `build_model`.
    """
    from factory.merging.mergekit_door import bake
    from factory.merging.same_answers import check_same_answers
    from factory.store.fetch import base_folder

    adapter, base = spec["adapter"], spec["base"]
    check_base([read_input(adapter["title"], Path(adapter["folder"]), adapter["key"])], base)
    revision = base.get("revision")
    folder = base_folder(f"{base['path']}@{revision}" if revision and "@" not in base["path"] else base["path"])
    report("baking into the base", None)
    bake(folder, Path(adapter["folder"]), out, seed=spec.get("seed", 0))
    report("comparing logits", None)
    difference = check_same_answers(out, folder, Path(adapter["folder"]))
    return {
        "parents": [adapter["key"]],
        "inputs": [adapter["title"]],
        "trained_tasks": trained_tasks([Path(adapter["folder"])]),
        "base": base,
        "logits_difference": difference,
    }
