"""What the contamination gate found, for the matrix: which items are left out, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factory.core.atomic import read_json
from factory.core.errors import CorruptFile
from factory.store.ref import Ref
from factory.store.store import Store

OVERLAPS = "overlaps.json"


@dataclass(frozen=True, slots=True)
class Contaminated:
    """One benchmark's overlap with the training rows.

    Attributes:
        items: that were compared.
        exact, near: of them, those that stand in training exactly, and those that all but do.
        touched: those that share any run of words with training.
        ids: the exact and near ones.
        excluded: whether they are left out of the scores.
    """

    items: int
    exact: int
    near: int
    touched: int
    ids: tuple[str, ...]
    excluded: bool

    def sentence(self, benchmark: str) -> str | None:
        """For the reader of the matrix; None if there is nothing to tell."""
        if not self.ids:
            return None
        done = "left out of all scores" if self.excluded else "scored all the same, as the study asks"
        return (
            f"{benchmark}: {len(self.ids)} of {self.items} items stand in what adapters train on "
            f"({self.exact} exactly, {self.near} nearly; {self.touched} share some run of words): {done}."
        )


def read_contaminated(store: Store, gate: Mapping[str, Any] | None) -> dict[str, Contaminated]:
    """By benchmark; {} for a study without a gate.

    Raises:
        StoreError: the gate that the study's card names is not in the store.
        CorruptFile: its files are damaged.
    """
    if gate is None:
        return {}
    ref = Ref(**gate)
    card, folder = store.card(ref), store.path(ref)
    overlaps = read_json(folder / OVERLAPS)
    try:
        excluded = card["contamination"]["action"] == "exclude"
        return {
            name: Contaminated(**counts, ids=tuple(overlaps[name]["ids"]), excluded=excluded)
            for name, counts in card["metrics"].items()
        }
    except (KeyError, TypeError) as error:
        raise CorruptFile(
            f"{folder}: not what the contamination gate writes ({error}); remove it, run again"
        ) from error
