"""What goes into a merge: adapters from disk, and the checks that they belong together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json
from factory.core.errors import BadInput
from factory.core.hashing import file_digest, key_of
from factory.store.factors import WEIGHTS, AdapterFactors, Factors, open_factors, shapes_and_ranks
from factory.store.peft_config import CONFIG, read_config

_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")


@dataclass(frozen=True, slots=True)
class Input:
    """One adapter of a merge.

    Attributes:
        title: how it is named to people.
        key: identifies its content; random draws depend on it, and not on where it lies.
        factors: its updates.
        base_hash: of the base it was trained on, where its card says so.
    """

    title: str
    key: str
    factors: AdapterFactors
    base_hash: str | None = None


def open_input(title: str, folder: Path, key: str) -> Input:
    """One adapter with what its card says of its base; a module is read when it is asked for.

    Raises:
        BadInput, CorruptFile: as `open_factors`.
    """
    return Input(title, key, open_factors(folder), base_record(folder).get("hash"))


def base_input(title: str) -> Input:
    """The base itself as an input: no update, but a weight that counts where weights are normalised."""
    return Input(title, "base", AdapterFactors({}))


def folder_key(folder: Path) -> str:
    """The key of an adapter that is not in the store: a hash of its two files.

    Raises:
        BadInput: it is not a folder in PEFT's format.
    """
    read_config(folder)
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


def check_same_base(inputs: Sequence[Input]) -> None:
    """Refuse adapters of different bases: their updates are differences from different weights.

    Compared by the base's hash where both cards have it, else by the name and revision in `adapter_config.json`.

    Raises:
        BadInput: naming two adapters and their bases.
    """
    known = [item for item in inputs if item.factors.modules]
    for first, other in zip(known[:1] * len(known), known, strict=True):
        one, two = first.factors, other.factors
        if first.base_hash and other.base_hash:
            if first.base_hash != other.base_hash:
                raise BadInput(
                    f"{first.title} was trained on base {one.base} ({first.base_hash[:12]}) and {other.title} on "
                    f"{two.base} ({other.base_hash[:12]}); only adapters of one base can be merged"
                )
        elif one.base and two.base and not _same_place(one.base, two.base):
            raise BadInput(
                f"{first.title} was trained on base '{one.base}' and {other.title} on '{two.base}'; "
                "only adapters of one base can be merged"
            )
        elif one.revision and two.revision and one.revision != two.revision:
            raise BadInput(
                f"{first.title} was trained on revision {one.revision} of {one.base} and {other.title} on "
                f"{two.revision}; only adapters of one base can be merged"
            )
        if one.fan_in_fan_out != two.fan_in_fan_out:
            raise BadInput(f"{first.title} and {other.title} disagree on fan_in_fan_out; their bases differ")


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


def _same_place(one: str, two: str) -> bool:
    """Whether two base names are the same hub id or lead to the same folder."""
    return one.rstrip("/") == two.rstrip("/") or (Path(one).is_dir() and Path(one).resolve() == Path(two).resolve())


def check_base(inputs: Sequence[Input], base: Mapping[str, Any]) -> None:
    """Refuse a base that the adapters were not trained on, as far as it can be told.

    Args:
        inputs: adapters that agree among themselves (`check_same_base`).
        base: `{"path": folder or hub id, "hash": ... or None}`.

    Raises:
        BadInput: another hash, another hub id, or a folder with other weights.
    """
    path = str(base.get("path") or "")
    for item in inputs:
        own = item.factors.base
        if item.base_hash and base.get("hash"):
            same = item.base_hash == base["hash"]
        elif not own or not path or _same_place(own, path):
            same = True
        elif Path(own).is_dir() and Path(path).is_dir():
            same = _weight_digests(Path(own)) == _weight_digests(Path(path))
        else:
            # A hub id and a local copy of it cannot be told apart from here; two hub ids can.
            same = not (_HUB_ID.match(own) and _HUB_ID.match(path))
        if not same:
            raise BadInput(f"{item.title} was trained on base '{own}', not on '{path}'; give its own base with --base")


def layers_of(base: str | None) -> int | None:
    """How many layers a base has, from its configuration; None where it is not a folder here."""
    path = Path(base or "") / "config.json"
    if base is None or not path.is_file():
        return None
    config = read_json(path)
    text = config.get("text_config") or config
    count = text.get("num_hidden_layers", text.get("n_layer"))
    return count if isinstance(count, int) else None


def _weight_digests(folder: Path) -> list[str]:
    return [file_digest(path) for path in sorted(folder.glob("*.safetensors"))]
