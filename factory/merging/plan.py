"""A merge as it was asked for on the command line, worked out and checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput, UnknownName
from factory.merging.build import merge_key
from factory.merging.contract import load_method
from factory.merging.inputs import base_record, folder_key
from factory.merging.print_mergekit import mergekit_text
from factory.merging.recipe import MergeRecipe, Resolved, read_recipe, resolve
from factory.store.fetch import HUB_ID, adapter_folder
from factory.store.find import find
from factory.store.peft_config import read_config
from factory.store.ref import Ref
from factory.store.store import Store

_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """A merge that can be run.

    Attributes:
        spec: what `factory.merging.build` takes.
        ref: what it is called in the store.
        recipe, resolved: how it is done.
    """

    spec: dict[str, Any]
    ref: Ref
    recipe: MergeRecipe
    resolved: Resolved

    def mergekit(self) -> str:
        """The recipe as mergekit would run it, YAML."""
        folders = [item["folder"] for item in self.spec["inputs"]]
        return mergekit_text(self.recipe, self.resolved, folders, self.spec["base"]["path"])


def plan_merge(
    store: Store,
    recipe_name: str,
    adapters: Sequence[str] = (),
    *,
    weights: Sequence[float] | None = None,
    rank: int | str = "full",
    seed: int = 0,
    base: str | None = None,
) -> Plan:
    """Find the recipe and every adapter, and check that they fit; no tensor is read.

    Args:
        store: where names are looked up.
        recipe_name: a name or a YAML file.
        adapters: store names, folders in PEFT's format, or hub ids; empty if the recipe names its own `models`.
        weights, rank, seed: as for `merge_adapters`.
        base: hub id, folder, or a base in the store; left out, the recipe's, else the one the adapters name.

    Raises:
        UnknownName: no such recipe, adapter or base; the nearest is suggested.
        BadInput: the parts do not fit.
    """
    recipe, path = read_recipe(recipe_name)
    if recipe.models is not None and adapters:
        raise BadInput(f"{path} names its own 'models'; leave the adapters out, or take 'models' out of the recipe")
    texts, named_base = _inputs_of(recipe) if recipe.models is not None else (list(adapters), None)
    base = base or recipe.base_model or named_base
    label = base_label(store, base, seed)
    inputs: list[dict[str, Any]] = []
    labels = []
    for text in texts:
        if text is None:
            inputs.append({"title": base, "folder": None, "key": "base"})
            continue
        item, found = locate(store, text, label)
        inputs.append(item)
        labels.append(found)
    contract = load_method(recipe.merge_method).CONTRACT
    if recipe.models is not None and not contract.weighs_base:
        # On updates the base is nothing; mergekit takes it out of the inputs too.
        kept = [i for i, item in enumerate(inputs) if item["folder"]]
        recipe = recipe.model_copy(update={"models": [recipe.models[i] for i in kept]})
        inputs = [inputs[i] for i in kept]
    resolved = resolve(recipe, len(inputs), weights)
    where = _base_of(store, base, inputs, seed)
    spec = {
        "recipe": recipe.model_dump(exclude_none=True),
        "inputs": inputs,
        "weights": list(weights) if weights is not None else None,
        "rank": rank,
        "seed": seed,
        "base": where,
    }
    named = [_slug(item["title"]) for item in inputs if item["folder"]]
    name = "-".join([_slug(path.stem), *named])[:_NAME_LENGTH].rstrip("-.")
    path_text = str(where["path"] or "unknown")
    slug = _slug(Path(path_text).name) if Path(path_text).is_dir() else path_text.replace("/", "--").strip("-")
    place = label or next((found for found in labels if found), None) or slug
    return Plan(spec, Ref(place, "merge", name, seed, merge_key(spec)), recipe, resolved)


def _inputs_of(recipe: MergeRecipe) -> tuple[list[str | None], str | None]:
    """The adapter that each of a recipe's models names, None for the base itself; and the base that they name.

    Raises:
        BadInput: two `base+adapter` references name different bases.
    """
    texts: list[str | None] = []
    bases = {recipe.base_model} - {None}
    for entry in recipe.models or []:
        base, plus, adapter = entry.model.partition("+")
        if plus and not Path(entry.model).is_dir():
            bases.add(base)
            texts.append(adapter)
        else:
            texts.append(entry.model)
    if len(bases) > 1:
        raise BadInput(f"the recipe names several bases: {', '.join(sorted(map(str, bases)))}; adapters need one")
    return [None if text in bases else text for text in texts], next(iter(bases), None)


def locate(store: Store, text: str, base: str | None = None) -> tuple[dict[str, Any], str | None]:
    """One adapter by folder, store name or hub id: `{"title", "folder", "key"}`, and its base's label in the store.

    Raises:
        UnknownName: none of the three.
        BadInput: the name means several things, or the folder holds no adapter.
    """
    folder = Path(text).expanduser()
    if folder.is_dir():
        return {"title": text, "folder": str(folder.resolve()), "key": folder_key(folder)}, None
    if text.startswith(("/", ".", "~")) or text.count("/") > 1:
        raise BadInput(f"'{text}': no such folder; expected an adapter in PEFT's format")
    try:
        ref = find(store, text, base=base, kinds=("adapter", "merge"))
    except UnknownName:
        if not HUB_ID.match(text):
            raise
        snapshot = adapter_folder(text)
        return {"title": text, "folder": str(snapshot), "key": folder_key(snapshot)}, None
    return {"title": ref.title, "folder": str(store.open(ref).resolve()), "key": ref.key}, ref.base


def base_label(store: Store, base: str | None, seed: int) -> str | None:
    """The label of a base that is in the store; None where it is not, or none is named."""
    wanted = {base, f"{base}-s{seed}"}
    return next((ref.base for ref in store.refs("base") if wanted & {ref.base, ref.title}), None) if base else None


def _base_of(store: Store, base: str | None, inputs: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    """`{"path", "hash"}` of the base that was asked for, else of the one the first adapter names."""
    label = base_label(store, base, seed)
    for ref in store.refs("base"):
        if ref.base == label:
            return {"path": str(store.path(ref).resolve()), "hash": ref.key}
    if base is not None:
        if Path(base).is_dir():
            return {"path": str(Path(base).resolve()), "hash": None}
        if HUB_ID.match(base):
            return {"path": base, "hash": None}
        raise UnknownName("base", base, {ref.base for ref in store.refs("base")}, "--base")
    folders = [Path(item["folder"]) for item in inputs if item["folder"]]
    record = base_record(folders[0]) if folders else {}
    recorded = read_config(folders[0]).get("base_model_name_or_path") if folders else None
    return {"path": record.get("path") or recorded, "hash": record.get("hash")}


def _slug(text: str) -> str:
    """A title as part of a name: `embedded-s0/adapter:math#0` is `math`, `user/name` is `name`."""
    last = re.sub(r"#\d+$", "", text.rstrip("/").split("/")[-1]).split(":")[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._") or "adapter"
