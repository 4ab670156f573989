"""Updates that are more than factors: found by what PEFT makes of the base's weights once an adapter is merged into it.

DoRA scales the base's columns, PiSSA and OLoRA change the base before training, others train biases, norms, whole
modules or rows of embeddings. PEFT knows all of these; the difference it makes to each weight is the update, dense and
exact, and any method can merge it. It needs the whole base in memory, in fp64 where that is small.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factory.core.errors import BadInput, CorruptFile
from factory.store.factors import WEIGHTS, AdapterFactors, Factors
from factory.store.peft_config import read_config
from factory.store.tensors import TensorReader, all_finite

if TYPE_CHECKING:
    import torch

# Above this size of its files a base is loaded in fp32: differences are then off by 6e-8 of the weights, not 1e-16.
_PRECISE_BYTES = 2**31


class DenseModules(Mapping[str, Factors]):
    """Dense updates by module, as factors of which one is the identity; made when asked for."""

    def __init__(self, deltas: Mapping[str, torch.Tensor]) -> None:
        self._deltas = deltas

    def __getitem__(self, module: str) -> Factors:
        import torch

        delta = self._deltas[module]
        d_out, d_in = delta.shape
        return Factors(torch.eye(d_in), delta) if d_in <= d_out else Factors(delta, torch.eye(d_out))

    def __iter__(self) -> Iterator[str]:
        return iter(self._deltas)

    def __len__(self) -> int:
        return len(self._deltas)

    def shape_and_rank(self, module: str) -> tuple[tuple[int, int], int]:
        """(d_out, d_in) and the rank it may have."""
        d_out, d_in = self._deltas[module].shape
        return (d_out, d_in), min(d_out, d_in)


def effective_factors(folder: Path, base: Path) -> AdapterFactors:
    """What an adapter of any kind that PEFT can merge changes in its base.

    Weights are modules by their name; vectors (biases, norms) are modules of shape (d, 1) by their tensor's name.

    Args:
        folder: the adapter.
        base: folder of its base model.

    Raises:
        BadInput: PEFT cannot merge it, or it changes something that is neither a matrix nor a vector.
        CorruptFile: a tensor holds NaN or Inf, by name.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = read_config(folder, with_base=True)
    _check(folder, config)
    size = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    # PiSSA and OLoRA decompose the base again when they are loaded, as they did in training: in fp32.
    precise = size <= _PRECISE_BYTES and config.get("init_lora_weights") not in ("pissa", "olora")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64 if precise else torch.float32)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    merged = _merged(model, folder)
    deltas: dict[str, torch.Tensor] = {}
    for name, tensor in sorted(merged.items()):
        if name not in start or tensor.shape != start[name].shape:
            raise BadInput(f"{folder}: '{name}' is not in {base} or has another shape there; it is of another base")
        delta = (tensor - start[name]).float()
        if not delta.any():
            continue
        if delta.ndim > 2:
            raise BadInput(f"{folder}: changes '{name}', which has {delta.ndim} dimensions; only 1 and 2 are handled")
        matrix = delta.ndim == 2
        deltas[name.removesuffix(".weight") if matrix else name] = delta if matrix else delta[:, None]
    return AdapterFactors(
        DenseModules(deltas),
        base=config.get("base_model_name_or_path"),
        revision=config.get("revision"),
        task_type=config.get("task_type"),
        embeddings=frozenset(name for name in deltas if name.endswith(("embed_tokens", "wte"))),
        vectors=frozenset(name for name, delta in deltas.items() if delta.shape[1] == 1 and name in start),
    )


def _merged(model: Any, folder: Path) -> dict[str, torch.Tensor]:
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            merged: Any = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"{folder}: PEFT cannot merge it into its base: {' '.join(str(error).split())}") from error
    return dict(merged.state_dict())


def _check(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse what PEFT would take without a word."""
    if config.get("fan_in_fan_out"):
        raise BadInput(f"{folder}: fan_in_fan_out together with updates that are more than factors is not handled")
    path = folder / WEIGHTS
    if not path.is_file():
        raise BadInput(f"{path}: is missing; expected a folder in PEFT's format")
    with TensorReader(path) as file:
        for name, entry in file.entries.items():
            if ".lora_embedding_" in name:
                raise BadInput(
                    f"{path}: '{name}': LoRA on embeddings together with updates that are more than factors is not "
                    "handled: PEFT merges it into a tied output head too"
                )
            if entry.floating and not all_finite(file.read(name)):
                raise CorruptFile(f"{path}: tensor '{name}' holds NaN or Inf; the training diverged or it is damaged")
