"""A merge's spec (see `factory.merging.build`): opened and checked, and what its card says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.merging.belonging import check_base, check_copies, layers_of
from factory.merging.contract import contract_of
from factory.merging.inputs import base_input, open_input, trained_tasks
from factory.merging.merge import MergeReport, ModuleReport, Work, prepare
from factory.merging.recipe import parse_recipe


def by_mergekit(spec: Mapping[str, Any]) -> bool:
    """Whether a merge is run by mergekit itself: because it was asked for, or because only mergekit has the method."""
    return spec.get("runner") == "mergekit" or contract_of(spec["recipe"]["merge_method"]).space == "weight"


def opened(spec: Mapping[str, Any]) -> Work:
    """A spec's inputs, opened and checked against one another and their base.

    Raises:
        BadInput: they do not belong together, or the recipe does not fit them.
    """
    recipe = parse_recipe(spec["recipe"], "recipe")
    base = spec.get("base") or {}
    place = base_text(base)
    inputs = [
        open_input(item["title"], Path(item["folder"]), item["key"], place)
        if item["folder"]
        else base_input(item["title"])
        for item in spec["inputs"]
    ]
    work = prepare(inputs, recipe, spec.get("weights"), layers=spec.get("layers") or layers_of(base.get("path")))
    check_base(inputs, base)
    for item in inputs:
        check_copies(item, place)
    return work


def base_text(base: Mapping[str, Any]) -> str | None:
    """A spec's base as one text, `path` or `user/name@revision`; None where it has none."""
    path, revision = base.get("path"), base.get("revision")
    return f"{path}@{revision}" if path and revision and "@" not in path and not Path(path).is_dir() else path


def card_of(spec: Mapping[str, Any], work: Work, reports: dict[str, ModuleReport]) -> dict[str, Any]:
    """The fields of the card that every merge has."""
    losses = MergeReport(work.recipe.merge_method, work.resolved, reports)
    base = spec.get("base") or {}
    known = next((item.base_hash for item in work.inputs if item.base_hash), None)
    return {
        "recipe": spec["recipe"],
        "method": work.recipe.merge_method,
        "parents": [item["key"] for item in spec["inputs"]],
        "inputs": [item["title"] for item in spec["inputs"]],
        "weights": losses.settings.each.get("weight"),
        "rank": spec.get("rank", "full"),
        "seed": spec.get("seed", 0),
        "trained_tasks": trained_tasks([Path(item["folder"]) for item in spec["inputs"] if item["folder"]]),
        "merge": losses.to_json() if reports else {},
        "base": {**base, "path": base.get("path") or work.like.base, "hash": base.get("hash") or known},
    }
