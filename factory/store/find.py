"""From the name a person writes to the stored thing it means."""

from __future__ import annotations

from factory.core.atomic import read_json
from factory.core.errors import BadInput, UnknownName
from factory.store.ref import Ref, VariantName
from factory.store.store import Store

VARIANT_KINDS = ("adapter", "merge", "model")
NOTHING = "it has none yet; 'factory run STUDY' and 'factory train NAME' make them, --store names another store"


def find(store: Store, text: str, *, base: str | None = None, kinds: tuple[str, ...] = VARIANT_KINDS) -> Ref:
    """The stored variant that a name means: the study's that ran last, else the newest of that name.

    Args:
        text: `adapter:math`, `math`, `merge:ties#1`, `embedded-s0/adapter:math`; `base` where `kinds` has it.
        base: label of the base to prefer where the name does not say one.

    Raises:
        UnknownName: nothing in the store has that name; the nearest is suggested.
        BadInput: several bases, or several kinds, have one and the name does not say which.
    """
    wanted = VariantName.parse(text)
    candidates = [
        ref
        for kind in kinds
        if wanted.kind in (None, kind)
        for ref in store.refs(kind)
        if (ref.name == wanted.name or wanted == VariantName("base", "base", wanted.base))
        and wanted.seed in (None, ref.seed)
        and wanted.base in (None, ref.base)
    ]
    if not candidates:
        known = {f"{ref.kind}:{ref.name}" if wanted.kind else ref.name for kind in kinds for ref in store.refs(kind)}
        raise UnknownName("variant", text, known, f"store {store.root}", NOTHING)
    if wanted.base is None:
        near = [ref for ref in candidates if ref.base == base] if base else _of_current_study(store, candidates)
        candidates = near or candidates
    if wanted.seed is None:
        first = min(ref.seed for ref in candidates)
        candidates = [ref for ref in candidates if ref.seed == first]
    titles = sorted({ref.title for ref in candidates})
    if len(titles) > 1:
        raise BadInput(f"'{text}' could be {' or '.join(titles)}; give the full name")
    # By the folder's time, not its card's: a damaged one must be found too, to be removed.
    return max(candidates, key=lambda ref: (store.path(ref).stat().st_mtime_ns, ref.key))


def _of_current_study(store: Store, candidates: list[Ref]) -> list[Ref]:
    """Those of the candidates that the study run last has made."""
    cards = sorted(store.root.glob("studies/*/card.json"), key=lambda path: path.stat().st_mtime_ns)
    if not cards:
        return []
    variants = read_json(cards[-1]).get("variants", [])
    current = [Ref(**variant["ref"]) for variant in variants if variant.get("ref")]
    return [ref for ref in candidates if ref in current]


def find_any(store: Store, text: str) -> Ref:
    """Anything in the store: by its full title (cells and searches have no short name), else as `find` does.

    Raises:
        UnknownName, BadInput: as `find`.
    """
    titled = [ref for ref in store.refs() if text in (ref.title, f"{ref.title}@{ref.key}", ref.key)]
    if titled:
        return max(titled, key=lambda ref: (store.path(ref).stat().st_mtime_ns, ref.key))
    return find(store, text, kinds=("base", *VARIANT_KINDS))
