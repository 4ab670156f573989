"""The names of the tensors in an adapter's file: which module and which side of its update each is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.core.errors import BadInput, CorruptFile
from factory.store.tensors import DTYPES, Entry

PREFIX = "base_model.model."
_FACTOR = re.compile(rf"^{re.escape(PREFIX)}(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight$")
_EMBEDDING = re.compile(rf"^{re.escape(PREFIX)}(?P<module>.+)\.lora_embedding_(?P<side>[AB])(?:\.default)?$")
_COPY = re.compile(rf"^{re.escape(PREFIX)}(?P<module>.+)\.base_layer\.weight$")


@dataclass(frozen=True, slots=True)
class Names:
    """What the tensors of an adapter's file are.

    Attributes:
        pairs: module -> {"A": tensor, "B": tensor}, sorted.
        embeddings: the modules that are embeddings.
        copies: tensor -> module of base weights saved beside the factors.
    """

    pairs: Mapping[str, Mapping[str, str]]
    embeddings: frozenset[str]
    copies: Mapping[str, str]


def sort_names(path: Path, entries: Mapping[str, Entry]) -> Names:
    """Sort an adapter's tensors by module and side.

    Raises:
        BadInput: a tensor that is no LoRA factor of a linear layer or an embedding, by name.
        CorruptFile: an unpaired factor, another type than floating point, or nothing at all.
    """
    pairs: dict[str, dict[str, str]] = {}
    embeddings, copies = set(), {}
    for name, entry in sorted(entries.items()):
        copy, embedding = _COPY.match(name), _EMBEDDING.match(name)
        if copy:
            copies[name] = copy["module"]
            continue
        match = embedding or _FACTOR.match(name)
        if match is None:
            raise BadInput(
                f"{path}: tensor '{name}' is not a LoRA factor of a linear layer or an embedding and cannot be merged"
            )
        if len(entry.shape) != 2:
            count = len(entry.shape)
            raise BadInput(f"{path}: tensor '{name}' has {count} dimensions; only linear layers (2) are handled")
        if not entry.floating:
            kind = DTYPES.get(entry.dtype, entry.dtype)
            raise CorruptFile(f"{path}: tensor '{name}' is {kind}; expected floating point")
        if embedding:
            embeddings.add(match["module"])
        pairs.setdefault(match["module"], {})[match["side"]] = name
    if not pairs:
        raise CorruptFile(f"{path}: holds no LoRA factors")
    for module, pair in sorted(pairs.items()):
        if set(pair) != {"A", "B"}:
            have, lack = ("A", "B") if "A" in pair else ("B", "A")
            raise CorruptFile(f"{path}: module '{module}' has lora_{have} and no lora_{lack}")
    return Names(dict(sorted(pairs.items())), frozenset(embeddings), copies)
