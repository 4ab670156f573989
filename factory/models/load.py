"""Loading a base: once a process for as long as it is wanted, on the device there is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from factory.core.errors import BadInput
from factory.core.lora import FULL, Quantization
from factory.models.quantize import is_quantized, loading_options, refuse_quantized


def one_thread() -> None:
    """One thread a process: results then do not depend on the machine's cores, and two processes use two of them."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def device() -> str:
    """`cuda` where there is one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_tokenizer(path: str, revision: str | None = None) -> Any:
    """The base's tokenizer, padding on the left, with a padding token.

    Raises:
        BadInput: there is no tokenizer at that path or hub id.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision)
    except (OSError, ValueError) as error:
        raise BadInput(f"base {path}: no tokenizer could be loaded: {_first_line(error)}") from error
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(path: str, revision: str | None = None, quantization: Quantization = FULL) -> Any:
    """The base as a causal LM in evaluation mode: fp32 on CPU, its own dtype on a GPU, or quantized.

    Raises:
        BadInput: there is no such model, its files are damaged, or it cannot be quantized here.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    dtype = torch.float32 if device() == "cpu" else "auto"
    options = loading_options(quantization, device())
    try:
        if options:
            refuse_quantized(AutoConfig.from_pretrained(path, revision=revision).to_dict(), path)
        model = AutoModelForCausalLM.from_pretrained(path, revision=revision, dtype=dtype, **options)
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        if isinstance(error, BadInput) or (isinstance(error, ImportError | RuntimeError) and not options):
            raise
        how = f" in {quantization}" if options else ""
        raise BadInput(f"base {path}: cannot be loaded{how}: {_first_line(error)}") from error
    return (model if is_quantized(model) else model.to(device())).eval()


@lru_cache(maxsize=1)
def loaded(path: str, revision: str | None = None, quantization: Quantization = FULL) -> tuple[Any, Any]:
    """Model and tokenizer, kept for the next caller of this process; whoever changes the model puts it back."""
    one_thread()
    return load_model(path, revision, quantization), load_tokenizer(path, revision)


def loaded_base(base: Mapping[str, Any]) -> tuple[Any, Any]:
    """The same for a base as a job's spec has it (`Base.to_json`): `path`, `revision`, `quantization`."""
    return loaded(base["path"], base.get("revision"), base.get("quantization") or FULL)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
