"""A variant's weights: the base, the base with an adapter applied, or a full model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.lora import FROM_THE_BASE
from factory.store.peft_config import read_config


@contextmanager
def adapted(model: Any, adapter: Path | None) -> Iterator[Any]:
    """The model with an adapter applied, for the time of the block; exactly the base again after it.

    In fp32 the update is added to the weights, which loses nothing and generates as fast as the base; in a narrower
    type, or quantized, small updates would be rounded away, so there PEFT applies it beside the weights. So it does
    where an adapter is more than factors of linear layers: an embedding's weight may be the output head's too.

    Raises:
        BadInput: the adapter names modules or shapes that the base does not have.
        CorruptFile: the adapter's files are damaged.
    """
    import torch

    from factory.store.factors import only_linear

    if adapter is None:
        yield model
    elif all(p.dtype == torch.float32 for p in model.parameters()) and only_linear(adapter):
        with _added(model, adapter):
            yield model
    else:
        with _beside(model, adapter) as wrapped:
            yield wrapped


@contextmanager
def _beside(model: Any, adapter: Path) -> Iterator[Any]:
    """The adapter applied by PEFT, beside the weights."""
    import torch
    from peft import PeftModel

    # Starts out of the base's weights (PiSSA, OLoRA) change them when they are loaded, and unloading does not undo it.
    changes = read_config(adapter, with_base=True).get("init_lora_weights") in FROM_THE_BASE
    kept = {name: weight.detach().clone() for name, weight in model.named_parameters()} if changes else {}
    try:
        with warnings.catch_warnings():
            # PEFT only warns, and the modules it has nothing for would do nothing.
            warnings.filterwarnings("error", message="(?s).*missing adapter keys")
            wrapped = PeftModel.from_pretrained(model, adapter).eval()
    except (RuntimeError, ValueError, UserWarning) as error:
        why = " ".join(str(error).split())[:200]
        raise BadInput(f"{adapter}: does not fit the base: {why}") from error
    try:
        yield wrapped
    finally:
        wrapped.unload()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in kept:
                    weight.copy_(kept[name])


@contextmanager
def _added(model: Any, adapter: Path) -> Iterator[None]:
    import torch

    from factory.store.factors import read_factors

    factors = read_factors(adapter)
    weights = {}
    for name, module in factors.modules.items():
        weight = _weight(model, name, adapter)
        shape = tuple(weight.shape[::-1] if factors.fan_in_fan_out else weight.shape)
        if shape != module.shape:
            raise BadInput(
                f"{adapter}: changes '{name}' by {module.shape}, the base has {shape}; it is of another base"
            )
        weights[name] = weight
    with torch.no_grad():
        kept = {name: weight.detach().clone() for name, weight in weights.items()}
        for name, module in factors.modules.items():
            delta = module.delta().to(weights[name].device)
            weights[name].add_(delta.T if factors.fan_in_fan_out else delta)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(kept[name])


def _weight(model: Any, name: str, adapter: Path) -> Any:
    try:
        return model.get_submodule(name).weight
    except AttributeError:
        raise BadInput(f"{adapter}: changes '{name}', which the base does not have; it is of another base") from None
