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
from factory.merging.inputs import base_input, check_base, layers_of, open_input, trained_tasks
from factory.merging.merge import MergeReport, merged_modules, prepare
from factory.merging.recipe import parse_recipe
from factory.store.factors import WEIGHTS, open_factors
from factory.store.ref import Ref
from factory.store.store import Store
from factory.store.tensors import TensorReader, as_bytes, checksum
from factory.store.write_adapter import AdapterWriter


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
        *([spec["layers"]] if "layers" in spec else []),
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
        open_input(item["title"], Path(item["folder"]), item["key"]) if item["folder"] else base_input(item["title"])
        for item in spec["inputs"]
    ]
    base = spec.get("base") or {}
    work = prepare(inputs, recipe, spec.get("weights"), layers=spec.get("layers") or layers_of(base.get("path")))
    check_base(inputs, base)
    rank, seed = spec.get("rank", "full"), spec.get("seed", 0)
    writer = AdapterWriter(out, list(work.shapes), recipe.stored_dtype)
    reports = {}
    for name, factors, told in merged_modules(work, rank, seed, report=report):
        writer.write(name, factors)
        reports[name] = told
    writer.finish(work.like)
    losses = MergeReport(recipe.merge_method, work.resolved, reports)
    report("reading it back", None)
    check_written(out, writer.checksums, base.get("path"))
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
        "base": {**base, "path": base.get("path") or work.like.base, "hash": base.get("hash") or inputs[0].base_hash},
    }


def check_written(folder: Path, checksums: Mapping[str, int], base: str | None) -> None:
    """Read a written adapter back, through PEFT too where its base is a folder here, and compare every factor.

    Args:
        checksums: of each tensor's bytes as they were meant to be written.

    Raises:
        WorkFailed: it is not, to the last bit, what was meant.
    """
    try:
        with TensorReader(folder / WEIGHTS) as file:
            found = {name: checksum(as_bytes(file.read(name))) for name in file.entries}
        written = open_factors(folder)
    except CorruptFile as error:
        raise WorkFailed(f"the merge was written and cannot be read back: {error}") from error
    for name in sorted(found.keys() | checksums.keys()):
        if found.get(name) != checksums.get(name):
            raise WorkFailed(f"{folder}: tensor '{name}' on disk is not what was merged")
    if base and (Path(base) / "config.json").is_file():
        from factory.merging.peft_door import check_loads

        check_loads(folder, Path(base), written)


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
    check_base([open_input(adapter["title"], Path(adapter["folder"]), adapter["key"])], base)
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
