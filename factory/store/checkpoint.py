"""A model's safetensors files: read tensor by tensor, written shard by shard with an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json, write_json
from factory.core.errors import BadInput, CorruptFile
from factory.store.tensors import Entry, TensorReader

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD_BYTES = 5 * 10**9
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
HEAD = "lm_head"


class Checkpoint:
    """The weights of a model folder; nothing but headers is read before a tensor is asked for.

    Attributes:
        folder: of the model.
        tensors: by name, in the order of the files: the file and the place in it.
        config: its `config.json`.

    Raises:
        BadInput: no safetensors there.
        CorruptFile: a file is damaged, or the index and the files disagree.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "config.json").is_file():
            raise BadInput(f"{folder}: no config.json; expected a model's folder")
        self.config: dict[str, Any] = read_json(folder / "config.json")
        names = _files(folder)
        self.tensors: dict[str, tuple[TensorReader, Entry]] = {}
        for file in dict.fromkeys(names.values()) if names else [SINGLE]:
            reader = TensorReader(folder / file)
            self.tensors |= {name: (reader, entry) for name, entry in reader.entries.items()}
        lost = sorted(set(names) - set(self.tensors))
        if lost:
            raise CorruptFile(f"{folder / INDEX}: names tensor '{lost[0]}', which is in none of its files")

    @property
    def bytes(self) -> int:
        """Of all tensors together."""
        return sum(entry.stop - entry.start for _, entry in self.tensors.values())

    @property
    def embedding(self) -> str | None:
        """The name of the input embedding's tensor, where it has one of the usual names."""
        return next((name for name in self.tensors if name.endswith(_EMBEDDINGS)), None)

    @property
    def tied(self) -> bool:
        """Whether input embedding and output head are one tensor."""
        text = self.config.get("text_config")
        says = {**self.config, **(text if isinstance(text, dict) else {})}.get("tie_word_embeddings")
        return says is not False and (says is True or f"{HEAD}.weight" not in self.tensors)

    def tensor_of(self, module: str) -> str:
        """The tensor that holds a module's weight, or that has this name.

        A module's path in the loaded model may have parts in front that the file leaves out, or lack some.

        Raises:
            BadInput: none, or several.
        """
        if module in self.tensors:
            return module
        if module == HEAD and self.tied and self.embedding:
            return self.embedding
        name = f"{module}.weight"
        parts = name.split(".")
        for start in range(len(parts) - 1):
            if ".".join(parts[start:]) in self.tensors:
                return ".".join(parts[start:])
        ends = [other for other in self.tensors if other.endswith(f".{name}")]
        if len(ends) == 1:
            return ends[0]
        raise BadInput(f"{self.folder}: has no tensor for module '{module}'; are the adapters of another base?")

    def close(self) -> None:
        """Close all files."""
        for reader, _ in self.tensors.values():
            reader.close()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _files(folder: Path) -> dict[str, str]:
    """Tensor name -> file, by the index; empty for a single file.

    Raises:
        BadInput, CorruptFile: as `Checkpoint`.
    """
    path = folder / INDEX
    if path.is_file():
        index = read_json(path)
        names = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(names, dict) or not all(isinstance(file, str) for file in names.values()):
            raise CorruptFile(f"{path}: not an index of safetensors files; copy the model again")
        for file in sorted(set(names.values())):
            if Path(file).name != file or not (folder / file).is_file():
                raise CorruptFile(f"{path}: names '{file}', which is not there; copy the model again")
        return names
    if (folder / SINGLE).is_file():
        return {}
    pickled = next(iter(sorted(folder.glob("*.bin"))), None)
    if pickled is not None:
        raise BadInput(f"{pickled}: pickled weights are not read (they can run code); save the model as safetensors")
    raise BadInput(f"{folder}: neither {SINGLE} nor {INDEX} is there; expected a model in safetensors")


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a model to be written.

    Attributes:
        file: its name.
        tensors: names of its tensors, in order.
    """

    file: str
    tensors: list[str]


def plan_shards(sizes: Mapping[str, int], widths: Mapping[str, int], limit: int = SHARD_BYTES) -> list[Shard]:
    """Distribute tensors over files of at most `limit` bytes (one tensor alone may be larger), in their order.

    Args:
        sizes: bytes of each tensor.
        widths: bytes of one of its numbers; wide ones go first in a file, so that all are aligned.
    """
    groups: list[list[str]] = [[]]
    room = limit
    for name, size in sizes.items():
        if size > room and groups[-1]:
            groups.append([])
            room = limit
        groups[-1].append(name)
        room -= size
    ordered = [sorted(group, key=lambda name: -widths[name]) for group in groups]
    if len(ordered) == 1:
        return [Shard(SINGLE, ordered[0])]
    return [
        Shard(f"model-{place:05d}-of-{len(ordered):05d}.safetensors", group) for place, group in enumerate(ordered, 1)
    ]


def write_index(folder: Path, shards: Sequence[Shard], total_bytes: int) -> None:
    """Write the index of several files; a single file needs none."""
    if len(shards) > 1:
        names = {name: shard.file for shard in shards for name in shard.tensors}
        write_json(folder / INDEX, {"metadata": {"total_size": total_bytes}, "weight_map": dict(sorted(names.items()))})


def side_files(folder: Path) -> Iterator[Path]:
    """What belongs to a model besides weights and `config.json`: tokenizer, generation settings, templates, code."""
    for path in sorted(folder.iterdir()):
        plain = path.suffix in (".json", ".txt", ".jinja", ".model", ".py", ".tiktoken")
        ours = path.name in ("config.json", "card.json", "adapter_config.json") or path.name.endswith(".index.json")
        if path.is_file() and plain and not ours and not path.name.startswith("."):
            yield path
