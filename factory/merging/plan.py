"""A merge as it was asked for on the command line, worked out and checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput, UnknownName
from factory.merging.belonging import layers_of
from factory.merging.build import merge_key
from factory.merging.contract import contract_of
from factory.merging.inputs import base_record, folder_key
from factory.merging.print_mergekit import mergekit_text
from factory.merging.recipe import MergeRecipe, Resolved, read_recipe, resolve
from factory.models.bases import embedded_seed, outside_base
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
    runner: str = "factory",
) -> Plan:
    """Find the recipe and every adapter, and check that they fit; no tensor is read.

    Args:
        store: where names are looked up.
        recipe_name: a name or a YAML file.
        adapters: store names, folders in PEFT's format, or hub ids; empty if the recipe names its own `models`.
        weights, rank, seed: as for `merge_adapters`.
        runner: `mergekit` has mergekit itself make the full model.
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
    asked = find_base(store, base, seed) if base else None
    label = asked["label"] if asked else None
    inputs: list[dict[str, Any]] = []
    labels = []
    for text in texts:
        if text is None:
            inputs.append({"title": base, "folder": None, "key": "base"})
            continue
        item, found = locate(store, text, label)
        inputs.append(item)
        labels.append(found)
    contract = contract_of(recipe.merge_method)
    if recipe.models is not None and not contract.weighs_base:
        # On updates the base is nothing; mergekit takes it out of the inputs too.
        kept = [i for i, item in enumerate(inputs) if item["folder"]]
        recipe = recipe.model_copy(update={"models": [recipe.models[i] for i in kept]})
        inputs = [inputs[i] for i in kept]
    resolved = resolve(recipe, len(inputs), weights)
    where = asked or _base_of(store, inputs)
    spec = {
        "recipe": recipe.model_dump(exclude_none=True),
        "inputs": inputs,
        "weights": list(weights) if weights is not None else None,
        "rank": rank,
        "seed": seed,
        "base": where,
    }
    if runner != "factory":
        spec["runner"] = runner
    if resolved.needs_layers:
        spec["layers"] = layers_of(where["path"])
    named = [_slug(item["title"]) for item in inputs if item["folder"]]
    name = "-".join([_slug(path.stem), *named])[:_NAME_LENGTH].rstrip("-.")
    place = label or next((found for found in labels if found), None) or where.get("label") or _base_slug(where["path"])
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


def find_base(store: Store, text: str, seed: int) -> dict[str, Any]:
    """A base by `embedded[@SEED]`, its label in the store, folder or hub id: `{"label", "path", "revision", "hash"}`.

    Raises:
        BadInput: none of them.
    """
    drawn = embedded_seed(text, seed)
    wanted = text if drawn is None else f"embedded-s{drawn}"
    for ref in store.refs("base"):
        if wanted in (ref.base, ref.title):
            return _stored_base(store, ref)
    if drawn is not None:
        raise UnknownName("base", text, {ref.base for ref in store.refs("base")}, f"store {store.root}")
    return outside_base(text).to_json()


def _base_of(store: Store, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The base that the first adapter names, by its card's hash or in its `adapter_config.json`."""
    folder = next((Path(item["folder"]) for item in inputs if item["folder"]), None)
    if folder is None:
        return {"path": None, "hash": None}
    record, config = base_record(folder), read_config(folder, with_base=True)
    for ref in store.refs("base"):
        if ref.key == record.get("hash"):
            return _stored_base(store, ref)
    named = {"path": config.get("base_model_name_or_path"), "revision": config.get("revision"), "hash": None}
    return {**named, **{key: value for key, value in record.items() if value is not None}}


def _stored_base(store: Store, ref: Ref) -> dict[str, Any]:
    return {"label": ref.base, "path": str(store.path(ref).resolve()), "revision": None, "hash": ref.key}


def _base_slug(path: str | None) -> str:
    """A base's label as `factory.models.bases` would give it, without reading the base."""
    if path is None or Path(path).is_absolute():
        return _slug(path or "unknown")
    return path.replace("/", "--")


def _slug(text: str) -> str:
    """A title as part of a name: `embedded-s0/adapter:math#0` is `math`, `user/name` is `name`."""
    last = re.sub(r"#\d+$", "", text.rstrip("/").split("/")[-1]).split(":")[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._") or "adapter"
