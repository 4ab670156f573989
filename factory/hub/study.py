"""All variants of a study that has run, each with the repository it goes to."""

from __future__ import annotations

import re

from factory.core.atomic import read_json
from factory.core.errors import BadInput, CorruptFile, UnknownName
from factory.store.ref import Ref
from factory.store.store import Store

_ORDER = {"base": 0, "adapter": 1, "merge": 2, "model": 3}


def variants_of_study(store: Store, study: str, prefix: str) -> dict[Ref, str]:
    """Repository by variant, parents before what was made from them: `USER/PREFIX-math`, `USER/PREFIX-merge-ties`.

    With several seeds each name ends in its seed, `-s1`. A base that is in the store goes too: nobody else has it.

    Args:
        study: its name.
        prefix: `USER/PREFIX`.

    Raises:
        UnknownName: no study of that name has run.
        BadInput: it has no finished variants.
        CorruptFile: its card is damaged.
    """
    cards = {path.parent.name: path for path in store.root.glob("studies/*/card.json")}
    if study not in cards:
        raise UnknownName("study", study, cards, f"store {store.root}")
    entries = read_json(cards[study]).get("variants", [])
    try:
        found = [(entry["name"], Ref(**entry["ref"])) for entry in entries if entry["ref"] is not None]
    except (KeyError, TypeError) as error:
        raise CorruptFile(f"{cards[study]}: not a study's card ({error}); run the study again") from error
    lacking = [ref.title for _, ref in found if not store.has(ref)]
    if lacking:
        raise BadInput(f"study {study} is not finished: {lacking[0]} is not in the store; run it again first")
    if not found:
        raise BadInput(f"study {study} has no variants in the store; nothing to push")
    several = len({ref.seed for _, ref in found}) > 1
    variants: dict[Ref, str] = {}
    for name, ref in sorted(found, key=lambda one: (_ORDER[one[1].kind], one[1].seed)):
        short = name.replace(":", "-").removeprefix("adapter-")
        variants[ref] = re.sub(r"[^\w./-]+", "-", f"{prefix}-{short}{f'-s{ref.seed}' if several else ''}")
    return variants
