"""What is in a store: a list, one thing's whole history, and what would be lost with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json
from factory.core.errors import CorruptFile
from factory.store.ref import Ref
from factory.store.store import ORIGIN, Store


def inventory(store: Store, kind: str | None = None) -> list[dict[str, Any]]:
    """Everything finished: full name, key, state, age, size, cost and headline numbers; damaged things too."""
    return [_entry(store, ref) for ref in store.refs(kind)]


def history(store: Store, ref: Ref) -> dict[str, Any]:
    """A thing's card, where it is, and the cards of all it came from, up to the base.

    A parent that is not there is `{"key", "missing": True}`, with what a pulled child's card tells of it; a damaged one
    has `problem` and no card. A pulled thing has `pulled`: from which repository and commit, and when.

    Raises:
        CorruptFile: its own files are not what its card says.
    """
    card = store.card(ref)
    by_key = {other.key: other for other in store.refs()}
    lineage = card.get("lineage") or {}
    parents = [_parent(store, by_key.get(key), key, lineage) for key in card.get("parents") or []]
    found = {"title": ref.title, "path": str(store.path(ref)), "card": card, "parents": parents}
    origin = store.path(ref) / ORIGIN
    return {**found, "pulled": read_json(origin)} if origin.is_file() else found


def _parent(store: Store, ref: Ref | None, key: str, lineage: Mapping[str, Any]) -> dict[str, Any]:
    if ref is None:
        known = lineage.get(key)
        if known is None:
            return {"key": key, "missing": True}
        parents = [_parent(store, None, other, lineage) for other in known.get("parents") or []]
        return {"key": key, "missing": True, "title": known.get("title", key), "card": known, "parents": parents}
    try:
        return history(store, ref)
    except CorruptFile as error:
        return {"title": ref.title, "path": str(store.path(ref)), "problem": str(error), "parents": []}


def dependents(store: Store, ref: Ref) -> list[Ref]:
    """What was made from a thing, directly or not: it stays valid, but its history would have a hole."""
    parents: dict[Ref, list[str]] = {}
    for other in store.refs():
        try:
            parents[other] = store.card(other).get("parents") or []
        except CorruptFile:
            continue
    found: list[Ref] = []
    keys = {ref.key}
    growing = True
    while growing:
        new = [other for other, mine in parents.items() if other not in found and other != ref and keys & set(mine)]
        found += new
        keys |= {other.key for other in new}
        growing = bool(new)
    return found


def _entry(store: Store, ref: Ref) -> dict[str, Any]:
    path = store.path(ref)
    entry: dict[str, Any] = {"title": ref.title, "kind": ref.kind, "key": ref.key, "path": str(path)}
    entry["bytes"] = store_bytes(path)
    try:
        card = store.card(ref)
    except CorruptFile as error:
        return {**entry, "state": "damaged", "problem": str(error)}
    return {
        **entry,
        "state": "finished",
        "created": card["created"],
        "cpu_seconds": card["cost"].get("cpu_seconds"),
        "summary": _summary(card),
    }


def _summary(card: dict[str, Any]) -> str:
    """The few numbers that tell one thing of a kind from another."""
    kind = card["ref"]["kind"]
    if kind == "cell":
        numbers = card["metrics"]
        return "  ".join(f"{name} {numbers[name]:.3f}" for name in ("sampled", "greedy") if numbers[name] is not None)
    if kind == "adapter":
        known = f"{card['recipe']['max_steps']} steps on {', '.join(card['trained_tasks'])}" if "recipe" in card else ""
        how = (card.get("quantization") or {}).get("kind", "full")
        known += f", base in {how}" if known and how != "full" else ""
        return known or f"from {card.get('origin')}, training not known"
    if kind in ("merge", "model"):
        weights = ", ".join(f"{weight:g}" for weight in card.get("weights") or []) or "as the recipe has them"
        return f"{card['method']} of {len(card['parents'])}, weights {weights}"
    if kind == "search":
        weights = ", ".join(f"{weight:g}" for weight in card["chosen"]["weights"] or [])
        return f"chose weights {weights} in {len(card['trials'])} trials"
    if kind == "base":
        return f"{card['metrics']['parameters']:,} parameters"
    return ""


def readable(size: int) -> str:
    """Bytes for people."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def store_bytes(root: Path) -> int:
    """Size of everything below a folder."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
