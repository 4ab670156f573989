"""A planned merge run: into the store, or into a folder the user names."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from factory.core.atomic import TEMPORARY, clear_os_errors, publish_folder, read_json, write_json
from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.core.progress import Report
from factory.core.provenance import code_revision, now, versions
from factory.merging.belonging import check_base, check_same_base
from factory.merging.build import bake_into, build, build_model, merge_into
from factory.merging.inputs import module_shapes, open_input
from factory.merging.plan import Plan
from factory.merging.spec import base_text, by_mergekit
from factory.store.ref import Ref
from factory.store.store import Store

BAKE_VERSION = 3


def check_plan(plan: Plan) -> dict[str, Any]:
    """Read the inputs and check all that can be checked before a merge, for `--dry-run`.

    Returns:
        For each input its title, rank and number of modules; how many modules the result has.

    Raises:
        BadInput: an input cannot be merged, or they do not belong together.
    """
    base = base_text(plan.spec["base"])
    items = [open_input(i["title"], Path(i["folder"]), i["key"], base) for i in plan.spec["inputs"] if i["folder"]]
    check_same_base(items)
    check_base(items, plan.spec["base"])
    shapes = module_shapes(items)
    inputs = []
    for item in items:
        ranks = sorted({factors.rank for factors in item.factors.modules.values()})  # reads all, so NaN is found too
        inputs.append({"title": item.title, "ranks": ranks, "modules": len(item.factors.modules)})
    return {"inputs": inputs, "modules": len(shapes)}


def check_out(out: Path | None) -> None:
    """Refuse an output folder that already holds something.

    Raises:
        BadInput: it is a file, or a folder that is not empty.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is a file"
        raise BadInput(f"--out {out}: {what}; name a new folder, or remove it first")


def model_ref(plan: Plan) -> Ref:
    """What the full model of a planned merge is called in the store."""
    return Ref(plan.ref.base, "model", plan.ref.name, plan.ref.seed, key_of("model", BAKE_VERSION, plan.ref.key))


def run_plan(store: Store, plan: Plan, report: Report, *, model: bool = False, out: Path | None = None) -> Path:
    """Merge, and bake into the base if `model`; gives the finished folder.

    Args:
        out: a new or empty folder instead of the store.

    Raises:
        BadInput, WorkFailed: as `factory.merging.build`.
    """
    check_out(out)
    if by_mergekit(plan.spec) and not model:
        raise BadInput(f"{plan.recipe.merge_method} by mergekit merges whole models; use --to model")
    if model and not plan.spec["base"]["path"]:
        raise BadInput("--to model needs the base and the adapters do not name one; give --base")
    if out is None:
        return (
            build_model(store, model_ref(plan), plan.spec, report)
            if model
            else build(store, plan.ref, plan.spec, report)
        )
    out = Path(os.path.abspath(out))  # noqa: PTH100 (a link in the path stays a link)
    work = out.parent / f"{TEMPORARY}{os.getpid()}-{out.name}"
    with clear_os_errors(out):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
    try:
        built = work / "out"
        built.mkdir()
        card = (bake_into if model else merge_into)(built, plan.spec, report)
        card |= {"created": now(), "versions": versions(), "code": code_revision()}
        write_json(built / "card.json", card)
        publish_folder(built, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return out


def summary(folder: Path) -> dict[str, Any]:
    """What a finished merge's card says of it, for the terminal and for `--json`."""
    card = read_json(folder / "card.json")
    known = (
        "method",
        "inputs",
        "parents",
        "weights",
        "rank",
        "seed",
        "merge",
        "base",
        "rounding",
        "logits_difference",
        "runner",
    )
    return {"folder": str(folder), "key": card.get("ref", {}).get("key"), **{k: card[k] for k in known if k in card}}
