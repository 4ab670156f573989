"""Whether adapters belong together and to a base: the same weights, revision, tokenizer, no weights of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json
from factory.core.errors import BadInput
from factory.core.hashing import file_digest, key_of
from factory.merging.inputs import Input
from factory.store.checkpoint import Checkpoint
from factory.store.factors import WEIGHTS
from factory.store.fetch import base_folder
from factory.store.tensors import TensorReader

_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")


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
        if first.folder and other.folder and not _same_tokenizer(first.folder, other.folder):
            raise BadInput(
                f"{first.title} and {other.title} were saved with different tokenizers (tokenizer.json); "
                "only adapters of one base and tokenizer can be merged"
            )
        if one.fan_in_fan_out != two.fan_in_fan_out:
            raise BadInput(f"{first.title} and {other.title} disagree on fan_in_fan_out; their bases differ")


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
        if item.folder and Path(path).is_dir() and not _same_tokenizer(item.folder, Path(path)):
            raise BadInput(f"{item.title} was saved with another tokenizer (tokenizer.json) than that of {path}")
        if not same:
            raise BadInput(f"{item.title} was trained on base '{own}', not on '{path}'; give its own base with --base")


def check_copies(item: Input, base: str | None) -> None:
    """Refuse an adapter that brings a base weight of its own: PEFT saves one with embeddings, changed or not.

    Raises:
        BadInput: it is not the base's, or there is no base to compare it with.
    """
    for tensor, module in item.factors.copies.items() if item.folder else ():
        if base is None or item.folder is None:
            raise BadInput(f"{item.title}: holds a base weight, '{tensor}'; give --base, to see that it is unchanged")
        with Checkpoint(base_folder(base)) as checkpoint, TensorReader(item.folder / WEIGHTS) as file:
            name = checkpoint.tensor_of(module)
            own, theirs = file.read(tensor), checkpoint.tensors[name][0].read(name)
            if own.shape != theirs.shape or not bool((own.float() == theirs.float()).all()):
                raise BadInput(
                    f"{item.title}: holds a base weight, '{tensor}', that is not that of {base}: resized or trained "
                    "besides its LoRA, which cannot be merged; bake it into its base model first"
                )


def layers_of(base: str | None) -> int | None:
    """How many layers a base has, from its configuration; None where it is not a folder here."""
    path = Path(base or "") / "config.json"
    if base is None or not path.is_file():
        return None
    config = read_json(path)
    text = config.get("text_config") or config
    count = text.get("num_hidden_layers", text.get("n_layer"))
    return count if isinstance(count, int) else None


def _same_place(one: str, two: str) -> bool:
    """Whether two base names are the same hub id or lead to the same folder."""
    return one.rstrip("/") == two.rstrip("/") or (Path(one).is_dir() and Path(one).resolve() == Path(two).resolve())


def _tokenizer(folder: Path) -> str | None:
    """A hash of what decides how a tokenizer cuts text; None where there is none."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    # How a run padded and truncated is saved with it and is no difference.
    return key_of({k: v for k, v in read_json(path).items() if k not in ("padding", "truncation", "post_processor")})


def _same_tokenizer(one: Path, two: Path) -> bool:
    paths = one / "tokenizer.json", two / "tokenizer.json"
    if not all(path.is_file() for path in paths) or file_digest(paths[0]) == file_digest(paths[1]):
        return True
    return _tokenizer(one) == _tokenizer(two)


def _weight_digests(folder: Path) -> list[str]:
    return [file_digest(path) for path in sorted(folder.glob("*.safetensors"))]
