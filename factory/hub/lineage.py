"""A card as it is published: the whole history, without the places it has on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from factory.core.errors import CorruptFile
from factory.store.store import Store

_PATH = re.compile(r"(?<![\w:/.~-])(?:~|[A-Za-z]:)?[/\\](?:[\w.@+ -]+[/\\])+[\w.@+-]*")
_TOLD_OF_PARENTS = (
    "recipe",
    "method",
    "weights",
    "rank",
    "seed",
    "data",
    "trained_tasks",
    "base",
    "created",
    "parents",
)


def published_card(store: Store, card: Mapping[str, Any], base_repo: Mapping[str, Any] | None) -> Any:
    """The card with its parents' history in it, paths cut to their last part, its base named as the Hub knows it.

    Args:
        base_repo: `repo` and `revision` of the base on the Hub; None for a base itself.

    Returns:
        All of the card but `files`, which are of another folder, and `ref`, `evaluation`, which are added at the end.
    """
    kept = {key: value for key, value in card.items() if key not in ("files", "evaluation", "lineage")}
    base = dict(card.get("base") or {})
    base.pop("path", None)
    if base_repo is not None:
        base |= base_repo
    lineage = {**(card.get("lineage") or {}), **parents_of(store, card)}
    public = {**kept, **({"base": base} if base else {}), **({"lineage": lineage} if lineage else {})}
    return without_paths(public)


def parents_of(store: Store, card: Mapping[str, Any]) -> dict[str, Any]:
    """What can be told of everything a thing came from, by key; what is in no store is left out."""
    by_key = {ref.key: ref for ref in store.refs()}
    found: dict[str, Any] = {}
    waiting = list(card.get("parents") or [])
    while waiting:
        key = waiting.pop()
        ref = by_key.get(key)
        if key in found or ref is None:
            continue
        try:
            parent = store.card(ref)
        except CorruptFile:
            continue
        found[key] = {"title": ref.title, **{name: parent[name] for name in _TOLD_OF_PARENTS if parent.get(name)}}
        waiting += parent.get("parents") or []
    return dict(sorted(found.items()))


def without_paths(value: Any) -> Any:
    """The value with every absolute path in its texts cut to the last part; keys too."""
    if isinstance(value, str):
        return _PATH.sub(lambda match: _last(match[0]), value)
    if isinstance(value, Mapping):
        return {without_paths(key): without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(item) for item in value]
    return value


def _last(path: str) -> str:
    return PurePath(path.replace("\\", "/").rstrip("/")).name
