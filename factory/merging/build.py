"""The jobs of merging: from a spec in JSON to a finished folder, read back and compared before it counts as done.

A spec, the same for an adapter and for a full model: `recipe` (as `MergeRecipe` prints itself), `inputs` (`title`,
`folder`, `key` of finished adapters; a null folder is the base itself), `weights` or null, `rank`, `seed`, `base`
(`path`, `hash`, `revision`, `label`; any may be null).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.core import discover
from factory.core.errors import BadInput, CorruptFile, WorkFailed
from factory.core.hashing import key_of
from factory.core.progress import Report
from factory.merging.bake import bake
from factory.merging.bake_plan import plan_targets
from factory.merging.contract import PACKAGE, contract_of
from factory.merging.merge import ModuleReport, Work, merged_modules, update_of
from factory.merging.print_mergekit import mergekit_config
from factory.merging.same_answers import CHECKED_BYTES, check_same_answers
from factory.merging.spec import base_text, by_mergekit, card_of, opened
from factory.merging.threads import single_threaded
from factory.store.checkpoint import Checkpoint
from factory.store.factors import WEIGHTS, Factors, open_factors
from factory.store.fetch import base_folder
from factory.store.ref import Ref
from factory.store.store import Store
from factory.store.tensors import TensorReader, as_bytes, checksum
from factory.store.write_adapter import AdapterWriter

if TYPE_CHECKING:
    import torch


def merge_key(spec: Mapping[str, Any]) -> str:
    """The content key of a merge: everything of its spec that its result depends on, and nothing else."""
    recipe = spec["recipe"]
    contract = contract_of(recipe["merge_method"])
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
        *(["by mergekit"] if spec.get("runner") == "mergekit" else []),
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
    if by_mergekit(spec):
        raise BadInput(f"{spec['recipe']['merge_method']} by mergekit merges whole models; there is no adapter of it")
    work = opened(spec)
    like = work.like
    if like.vectors:
        raise BadInput(
            f"the inputs change '{min(like.vectors)}', a bias or norm that an adapter of factors cannot hold; "
            "merge them with --to model"
        )
    writer = AdapterWriter(out, list(work.shapes), work.recipe.stored_dtype, like.embeddings)
    reports = {}
    for name, factors, told in merged_modules(work, spec.get("rank", "full"), spec.get("seed", 0), report=report):
        writer.write(name, factors)
        reports[name] = told
    writer.finish(like)
    report("reading it back", None)
    check_written(out, writer.checksums, (spec.get("base") or {}).get("path"))
    return card_of(spec, work, reports)


def build_model(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Merge finished adapters into their base: a full model in the store.

    Raises:
        BadInput: as `build`; or the base is not there, not theirs, or not in safetensors.
        WorkFailed: as `build`; or the model does not answer as base and update do.
    """
    return store.build(ref, lambda out, _state: bake_into(out, spec, report))


def bake_into(out: Path, spec: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Merge and bake into an empty folder; gives the card's fields.

    A merge at rank `full` is added as the method gives it; at another rank, what is added is the adapter of that rank.

    Raises:
        BadInput, WorkFailed: as `build_model`.
    """
    work = opened(spec)
    rank, seed, base = spec.get("rank", "full"), spec.get("seed", 0), spec["base"]
    if by_mergekit(spec):
        return _run_mergekit(out, spec, work, report)
    reports: dict[str, ModuleReport] = {}

    def update(name: str) -> Factors | torch.Tensor:
        merged, reports[name] = update_of(work, name, rank, seed)
        return merged

    folder = base_folder(base_text(base) or "")
    flip = work.like.fan_in_fan_out
    with Checkpoint(folder) as checkpoint, single_threaded():
        plan = plan_targets(checkpoint, work.shapes, work.recipe.out_dtype or work.recipe.dtype, flip)
        baked = bake(checkpoint, plan, update, out, flip=flip, report=report)
        small = checkpoint.bytes <= CHECKED_BYTES
    card = card_of(spec, work, dict(sorted(reports.items())))
    # What an adapter of that rank would be to serve is nothing about a model.
    card["merge"]["notes"] = [note for note in card["merge"]["notes"] if "vLLM" not in note]
    energies = {name: told.energy - told.lost for name, told in reports.items()}
    fields = {**card, "rounding": baked.to_json(energies)}
    if small:
        report("comparing logits", None)
        half = not baked.dtypes <= {"F32", "F64"}
        fields["logits_difference"] = check_same_answers(out, folder, list(work.shapes), update, flip=flip, half=half)
    return fields


def _run_mergekit(out: Path, spec: Mapping[str, Any], work: Work, report: Report) -> dict[str, Any]:
    from factory.merging.mergekit_door import run

    for item in work.inputs:
        if item.factors.embeddings:
            raise BadInput(f"{item.title}: mergekit adds LoRA on embeddings to a tied output head too; merge it here")
        for name in item.factors.modules:
            item.factors.modules[name]  # reads it: mergekit would write NaN
    folder = base_folder(base_text(spec["base"]) or "")
    places = [item["folder"] for item in spec["inputs"]]
    config, _ = mergekit_config(work.recipe, work.resolved, places, str(folder))
    report("mergekit is merging", None)
    run(config, folder, out, out_dtype=work.recipe.out_dtype or work.recipe.dtype, seed=spec.get("seed", 0))
    card = card_of(spec, work, {})
    del card["merge"], card["rank"]
    return {**card, "runner": "mergekit", "settings": work.resolved.to_json()}


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
