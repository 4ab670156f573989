"""LoRA factors, and how they are read from a folder in PEFT's format.

An adapter is, for each module, two factors whose product is the update of that module's weight. They are scaled once,
at load, so that nobody further up has to know about alpha, rsLoRA or patterns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from factory.core.errors import BadInput, CorruptFile
from factory.store.lora_names import sort_names
from factory.store.peft_config import CONFIG, needs_base, rank_and_scale, read_config
from factory.store.tensors import TensorReader, all_finite

if TYPE_CHECKING:
    import torch

WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class Factors:
    """The update of one module, `lora_B @ lora_A`, with the scale already in it.

    Attributes:
        lora_A: (r, d_in), fp32.
        lora_B: (d_out, r), fp32. r may be 0: the update is then zero.
    """

    lora_A: torch.Tensor  # noqa: N815
    lora_B: torch.Tensor  # noqa: N815

    @property
    def rank(self) -> int:
        """Number of rank-one components, r."""
        return self.lora_A.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(d_out, d_in) of the update."""
        return self.lora_B.shape[0], self.lora_A.shape[1]

    def delta(self, rows: slice = slice(None)) -> torch.Tensor:
        """The dense update, (d_out, d_in), or some rows of it."""
        return self.lora_B[rows] @ self.lora_A

    @classmethod
    def zero(cls, shape: tuple[int, int]) -> Factors:
        """The update of a module that an adapter does not have: rank 0, shape (d_out, d_in)."""
        import torch

        return cls(torch.zeros(0, shape[1]), torch.zeros(shape[0], 0))


@dataclass(frozen=True, slots=True)
class AdapterFactors:
    """A whole adapter.

    Attributes:
        modules: name in the base model (`model.layers.0.self_attn.q_proj`) -> factors, in sorted order.
        base: the base it was trained on, a hub id or a folder; None where the adapter does not say.
        revision: the base's revision.
        task_type: PEFT's (`CAUSAL_LM`).
        fan_in_fan_out: whether the base keeps these weights transposed (GPT-2's Conv1D).
        embeddings: the modules that are embeddings; their update is (vocabulary, width), as their weight is.
        vectors: the modules that are a bias or a norm, by their tensor's name; their update is (d, 1).
        copies: tensor -> module of base weights that are in the adapter's file, as PEFT saves embeddings.
    """

    modules: Mapping[str, Factors]
    base: str | None = None
    revision: str | None = None
    task_type: str | None = "CAUSAL_LM"
    fan_in_fan_out: bool = False
    embeddings: frozenset[str] = frozenset()
    vectors: frozenset[str] = frozenset()
    copies: Mapping[str, str] = field(default_factory=dict)


class _OnDisk(Mapping[str, Factors]):
    """The modules of an adapter on disk: each is read, checked and scaled when it is asked for, and not kept."""

    def __init__(
        self,
        reader: TensorReader,
        tensors: Mapping[str, Mapping[str, str]],
        scales: Mapping[str, float],
        embeddings: frozenset[str],
    ) -> None:
        self._reader, self._tensors, self._scales, self._embeddings = reader, tensors, scales, embeddings

    def __getitem__(self, module: str) -> Factors:
        """One module's factors.

        Raises:
            CorruptFile: NaN or Inf, by the tensor's name.
        """
        names, scale = self._tensors[module], self._scales[module]
        lora_A, lora_B = (_finite(self._reader, names[side]) for side in "AB")
        if module in self._embeddings:  # PEFT's product is the transposed of the weight's update
            lora_A, lora_B = lora_B.T.contiguous(), lora_A.T.contiguous()
        return Factors(lora_A, lora_B if scale == 1 else lora_B * scale)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def shape_and_rank(self, module: str) -> tuple[tuple[int, int], int]:
        """(d_out, d_in) and rank, from the header alone."""
        a, b = (self._reader.entries[self._tensors[module][side]].shape for side in "AB")
        return ((a[1], b[0]) if module in self._embeddings else (b[0], a[1])), a[0]


def _finite(reader: TensorReader, name: str) -> torch.Tensor:
    import torch

    tensor = reader.read(name).float()
    if not all_finite(tensor):
        bad = "NaN" if torch.isnan(tensor).any() else "Inf"
        raise CorruptFile(
            f"{reader.path}: tensor '{name}' holds {bad}; this adapter's training diverged or it is damaged"
        )
    return tensor


def open_factors(folder: Path | str) -> AdapterFactors:
    """Open an adapter in PEFT's format; a module is read when it is asked for, so that memory is that of one module.

    Every product `lora_B @ lora_A` is the exact update PEFT would apply.

    Raises:
        BadInput: not a LoRA adapter in safetensors, or one with a feature that cannot be merged exactly, by name.
        CorruptFile: damaged, an unpaired factor, shapes that disagree; the text names the tensor. NaN and Inf are found
            when their module is read.
    """
    folder = Path(folder)
    config = read_config(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = path.with_name("adapter_model.bin")
        if pickled.is_file():
            raise BadInput(f"{pickled}: pickled weights are not read (they can run code); save it as safetensors")
        raise BadInput(f"{path}: is missing; expected a folder in PEFT's format")
    reader = TensorReader(path)
    names = sort_names(path, reader.entries)
    scales = {}
    for module, pair in names.pairs.items():
        rank, scale = rank_and_scale(config, module)
        shapes = {side: reader.entries[pair[side]].shape for side in "AB"}
        if not shapes["A"][0] == shapes["B"][1] == rank:
            raise CorruptFile(
                f"{path}: module '{module}': lora_A is {shapes['A']}, lora_B is {shapes['B']}; "
                f"{CONFIG} says rank {rank}, so expected ({rank}, d_in) and (d_out, {rank})"
            )
        scales[module] = scale
    if names.embeddings and config.get("fan_in_fan_out"):
        raise BadInput(f"{path}: LoRA on embeddings together with fan_in_fan_out is not handled")
    return AdapterFactors(
        _OnDisk(reader, names.pairs, scales, names.embeddings),
        base=config.get("base_model_name_or_path"),
        revision=config.get("revision"),
        task_type=config.get("task_type"),
        fan_in_fan_out=bool(config.get("fan_in_fan_out")),
        embeddings=names.embeddings,
        copies=names.copies,
    )


def read_factors(folder: Path | str) -> AdapterFactors:
    """Read an adapter in PEFT's format whole.

    Raises:
        BadInput: as `open_factors`.
        CorruptFile: as `open_factors`, and NaN or Inf; the text names the tensor.
    """
    adapter = open_factors(folder)
    return replace(adapter, modules=dict(adapter.modules))


def shapes_and_ranks(adapter: AdapterFactors) -> dict[str, tuple[tuple[int, int], int]]:
    """(d_out, d_in) and rank of each module; of an adapter on disk no tensor is read."""
    modules = adapter.modules
    told = getattr(modules, "shape_and_rank", None)
    if told is not None:
        return {name: told(name) for name in modules}
    return {name: (factors.shape, factors.rank) for name, factors in modules.items()}


def only_linear(folder: Path | str) -> bool:
    """Whether an adapter is nothing but factors of linear layers.

    Raises:
        BadInput, CorruptFile: as `open_factors`.
    """
    config = read_config(Path(folder), with_base=True)
    return not needs_base(config) and not open_factors(folder).embeddings
