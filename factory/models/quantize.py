"""Bases in 4 or 8 bit, by bitsandbytes: its one door.

`nf4` is QLoRA's (Dettmers et al. 2023, arXiv 2305.14314): 4-bit NormalFloat in blocks of 64 with the blocks' scales
quantized too; `int8` is LLM.int8() (Dettmers et al. 2022, arXiv 2208.07339). Linear layers but the output head are
quantized, embeddings and norms are not. An adapter trained so is plain LoRA and belongs to the full base.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from factory.core.errors import BadInput
from factory.core.lora import FULL, Quantization
from factory.core.provenance import versions

LIBRARY = "bitsandbytes"
BITS = {"nf4": 4.127, "int8": 8.0}
"""Bits a quantized weight takes. Of nf4: 4, 8 / 64 for its block's scale, 32 / 256 / 64 for that scale's (QLoRA, 3)."""


def is_installed() -> bool:
    """Whether bitsandbytes is there; it is not imported."""
    try:
        return find_spec(LIBRARY) is not None
    except ValueError:  # something else stands under its name
        return False


def check_quantization(kind: Quantization, where: str) -> None:
    """Refuse a quantization that cannot be done here, before any work.

    Raises:
        BadInput: bitsandbytes is not installed.
    """
    if kind != FULL and not is_installed():
        raise BadInput(
            f"{where}: quantization '{kind}' needs {LIBRARY}, which is not installed; "
            f"'pip install {LIBRARY}', or take quantization: {FULL}"
        )


def refuse_quantized(config: Mapping[str, Any], path: str) -> None:
    """Refuse to quantize what is quantized already: transformers would only warn, and load it as it was saved.

    Args:
        config: the base's `config.json`.

    Raises:
        BadInput: it is.
    """
    own = config.get("quantization_config")
    if own:
        how = own.get("quant_method", "some way") if isinstance(own, Mapping) else "some way"
        raise BadInput(f"base {path}: is quantized already, by {how}; take quantization: {FULL} to load it as it is")


def check_works() -> str | None:
    """Why bitsandbytes cannot quantize on this machine, by trying; None if it can. Takes some seconds of imports."""
    import torch

    from factory.models.load import device

    try:
        import bitsandbytes.functional as quantizer

        weight = torch.linspace(-1, 1, 256, device=device()).reshape(4, 64)
        back = quantizer.dequantize_4bit(*quantizer.quantize_4bit(weight, quant_type="nf4"))
    except (ImportError, OSError, RuntimeError, NotImplementedError, AttributeError) as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None if bool((back - weight).abs().max() < 0.2) else "a quantized weight does not come back"


def loading_options(kind: Quantization, device: str) -> dict[str, Any]:
    """What transformers' `from_pretrained` is to be given for a base of this kind.

    Raises:
        BadInput: bitsandbytes is not installed.
    """
    if kind == FULL:
        return {}
    import torch
    from transformers import BitsAndBytesConfig

    check_quantization(kind, "base")
    # It says for every product of matrices that its input is rounded to float16.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    if kind == "int8":
        config = BitsAndBytesConfig(load_in_8bit=True)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, compute_dtype(device)),
        )
    # Quantized weights stay where they are made: of several processes, each has a GPU of its own.
    own = device if device == "cpu" else f"{device}:{os.environ.get('LOCAL_RANK', '0')}"
    return {"quantization_config": config, "device_map": {"": own}}


def compute_dtype(device: str) -> str:
    """The type products are computed in: bfloat16 slows a CPU down, and old GPUs do not have it."""
    import torch

    if device == "cpu":
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"


def is_quantized(model: Any) -> bool:
    """Whether a model's linear layers are quantized."""
    return bool(getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False))


def described(kind: Quantization, device: str) -> dict[str, Any]:
    """For a card: kind, and what else makes the arithmetic."""
    if kind == FULL:
        return {"kind": kind}
    told: dict[str, Any] = {"kind": kind, LIBRARY: versions((LIBRARY,))[LIBRARY]}
    if kind == "nf4":
        return {**told, "double_quant": True, "compute_dtype": compute_dtype(device)}
    return {**told, "compute_dtype": "int8, input rounded to float16"}
