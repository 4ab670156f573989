"""What goes into a merge: adapters from disk, and the checks that they belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json
from factory.core.errors import BadInput
from factory.core.hashing import file_digest, key_of
from factory.store.factors import WEIGHTS, AdapterFactors, Factors, open_factors, shapes_and_ranks
from factory.store.fetch import base_folder
from factory.store.peft_config import CONFIG, needs_base, read_config


@dataclass(frozen=True, slots=True)
class Input:
    """One adapter of a merge.

    Attributes:
        title: how it is named to people.
        key: identifies its content; random draws depend on it, and not on where it lies.
        factors: its updates.
        base_hash: of the base it was trained on, where its card says so.
        folder: where it lies; None for one that is only in memory.
    """

    title: str
    key: str
    factors: AdapterFactors
    base_hash: str | None = None
    folder: Path | None = None


def open_input(title: str, folder: Path, key: str, base: str | None = None) -> Input:
    """One adapter with what its card says of its base; a module is read when it is asked for.

    Args:
        title, folder, key: of the adapter.
        base: its base, folder or hub id, for updates that only the base tells (DoRA, trained biases and the like).

    Raises:
        BadInput, CorruptFile: as `open_factors` and `effective_factors`.
    """
    factors: AdapterFactors
    if base is not None and needs_base(read_config(folder, with_base=True)):
        from factory.merging.effective import effective_factors

        factors = effective_factors(folder, base_folder(base))
    else:
        factors = open_factors(folder)
    return Input(title, key, factors, base_record(folder).get("hash"), folder)


def base_input(title: str) -> Input:
    """The base itself as an input: no update, but a weight that counts where weights are normalised."""
    return Input(title, "base", AdapterFactors({}))


def folder_key(folder: Path) -> str:
    """The key of an adapter that is not in the store: a hash of its two files.

    Raises:
        BadInput: it is not a folder in PEFT's format.
    """
    read_config(folder, with_base=True)
    if not (folder / WEIGHTS).is_file():
        open_factors(folder)  # says what is wrong
    return key_of("adapter folder", file_digest(folder / CONFIG), file_digest(folder / WEIGHTS))


def base_record(folder: Path) -> dict[str, Any]:
    """What the adapter's card says of its base (`{"path", "hash"}`); empty where there is no card."""
    base = _card(folder).get("base")
    return base if isinstance(base, dict) else {}


def trained_tasks(folders: Sequence[Path]) -> list[str]:
    """All tasks that the adapters' cards say they were trained on, each once, in order."""
    return list(dict.fromkeys(task for folder in folders for task in _card(folder).get("trained_tasks") or []))


def _card(folder: Path) -> dict[str, Any]:
    path = folder / "card.json"
    card = read_json(path) if path.is_file() else {}
    return card if isinstance(card, dict) else {}


def module_shapes(inputs: Sequence[Input]) -> dict[str, tuple[int, int]]:
    """All modules that any input has, sorted, with the (d_out, d_in) of their update.

    Raises:
        BadInput: two inputs disagree on a module's shape, or no input has any module.
    """
    shapes: dict[str, tuple[int, int]] = {}
    owner: dict[str, str] = {}
    for item in inputs:
        for name, (shape, _) in shapes_and_ranks(item.factors).items():
            if shapes.setdefault(name, shape) != shape:
                raise BadInput(
                    f"module '{name}': {owner[name]} changes a weight of shape {shapes[name]} and {item.title} one of "
                    f"{shape}; they were trained on different bases"
                )
            owner.setdefault(name, item.title)
    if not shapes:
        raise BadInput("nothing to merge: no adapter is named")
    return dict(sorted(shapes.items()))


def module_of(item: Input, name: str, shape: tuple[int, int]) -> Factors:
    """An input's update of one module; zero where it has none."""
    return item.factors.modules.get(name) or Factors.zero(shape)
