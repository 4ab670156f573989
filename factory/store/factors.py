"""LoRA factors in and out of a folder in PEFT's format.

An adapter is, for each module, two factors whose product is the update of that module's weight. They are scaled once,
at load, so that nobody further up has to know about alpha, rsLoRA or patterns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factory.core.atomic import clear_os_errors, write_json
from factory.core.errors import BadInput, CorruptFile
from factory.store.peft_config import CONFIG, plain_config, rank_and_scale, read_config

if TYPE_CHECKING:
    import torch

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_FACTOR = re.compile(rf"^{re.escape(_PREFIX)}(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight$")


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
    """

    modules: Mapping[str, Factors]
    base: str | None = None
    revision: str | None = None
    task_type: str | None = "CAUSAL_LM"
    fan_in_fan_out: bool = False


def read_factors(folder: Path | str) -> AdapterFactors:
    """Read an adapter in PEFT's format; every product `lora_B @ lora_A` is the exact update PEFT would apply.

    Raises:
        BadInput: not a LoRA adapter in safetensors, or one with a feature that cannot be merged exactly, by name.
        CorruptFile: damaged, an unpaired factor, shapes that disagree, NaN or Inf; the text names the tensor.
    """
    import torch

    folder = Path(folder)
    config = read_config(folder)
    sides: dict[str, dict[str, torch.Tensor]] = {}
    path = folder / WEIGHTS
    for name, tensor in _tensors(path).items():
        match = _FACTOR.match(name)
        if match is None:
            raise BadInput(f"{path}: tensor '{name}' is not a LoRA factor of a linear layer and cannot be merged")
        if tensor.ndim != 2:
            raise BadInput(f"{path}: tensor '{name}' has {tensor.ndim} dimensions; only linear layers (2) are handled")
        if not tensor.is_floating_point():
            raise CorruptFile(f"{path}: tensor '{name}' is {tensor.dtype}; expected floating point")
        if not torch.isfinite(tensor).all():
            bad = "NaN" if torch.isnan(tensor).any() else "Inf"
            raise CorruptFile(f"{path}: tensor '{name}' holds {bad}; this adapter's training diverged or it is damaged")
        sides.setdefault(match["module"], {})[match["side"]] = tensor.float()
    if not sides:
        raise CorruptFile(f"{path}: holds no LoRA factors")
    modules = {}
    for module in sorted(sides):
        pair = sides[module]
        if set(pair) != {"A", "B"}:
            have, lack = ("A", "B") if "A" in pair else ("B", "A")
            raise CorruptFile(f"{path}: module '{module}' has lora_{have} and no lora_{lack}")
        rank, scale = rank_and_scale(config, module)
        if not pair["A"].shape[0] == pair["B"].shape[1] == rank:
            raise CorruptFile(
                f"{path}: module '{module}': lora_A is {tuple(pair['A'].shape)}, lora_B is {tuple(pair['B'].shape)}; "
                f"{CONFIG} says rank {rank}, so expected ({rank}, d_in) and (d_out, {rank})"
            )
        modules[module] = Factors(pair["A"], pair["B"] * scale)
    return AdapterFactors(
        modules,
        base=config.get("base_model_name_or_path"),
        revision=config.get("revision"),
        task_type=config.get("task_type"),
        fan_in_fan_out=bool(config.get("fan_in_fan_out")),
    )


def write_adapter(folder: Path, adapter: AdapterFactors, *, dtype: str = "float32") -> None:
    """Write an adapter in PEFT's format, scale 1, so that `PeftModel.from_pretrained` applies exactly its factors.

    Args:
        folder: made if needed; meant to be one that is still being built (`Store.build`, `publish_folder`).
        adapter: ranks may differ between modules.
        dtype: of the tensors on disk; rounding to bfloat16 costs about 2.4e-3 relative, to float16 3e-4.

    Raises:
        ValueError: no module, or a module of rank 0.
    """
    import torch
    from safetensors.torch import save_file

    kind = getattr(torch, dtype)
    ranks = {name: factors.rank for name, factors in adapter.modules.items()}
    if not ranks or min(ranks.values()) < 1:
        raise ValueError(f"an adapter needs modules of rank 1 or more, got ranks {ranks}")
    tensors = {}
    for name, factors in adapter.modules.items():
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = factors.lora_A.to(kind).contiguous()
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = factors.lora_B.to(kind).contiguous()
    config = plain_config(
        ranks,
        base=adapter.base,
        revision=adapter.revision,
        task_type=adapter.task_type,
        fan_in_fan_out=adapter.fan_in_fan_out,
    )
    with clear_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / CONFIG, config)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        pickled = path.with_name("adapter_model.bin")
        if pickled.is_file():
            raise BadInput(f"{pickled}: pickled weights are not read (they can run code); save it as safetensors")
        raise BadInput(f"{path}: is missing; expected a folder in PEFT's format")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in sorted(file.keys())}
    except SafetensorError as error:
        raise CorruptFile(f"{path}: not a whole safetensors file ({error}); copy or train it again") from error
