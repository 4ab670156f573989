"""A LoRA model that samples with its update added to the weights: fewer, larger products for each token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """Add the active adapters' update to the base's weights inside the block; the old tensors come back, bit by bit.

    Only where that is exact up to fp32 rounding: plain LoRA on whole fp32 linear weights. In bf16 a small update would
    be rounded away, quantized or sharded weights cannot be added to, and DoRA is no sum. Elsewhere nothing happens.
    """
    from peft.tuners.lora import LoraLayer

    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    if not all(map(_is_plain, layers)):
        yield
        return
    kept = [layer.base_layer.weight.data for layer in layers]
    try:
        for layer in layers:
            weight = layer.base_layer.weight
            for adapter in layer.active_adapters:
                weight.data = weight.data + layer.get_delta_weight(adapter).detach()
                layer.merged_adapters.append(adapter)
        yield
    finally:
        for layer, weight in zip(layers, kept, strict=True):
            layer.base_layer.weight.data = weight
            layer.merged_adapters.clear()


def _is_plain(layer: Any) -> bool:
    import torch

    base = layer.base_layer
    return (
        type(base) is torch.nn.Linear
        and type(base.weight) is torch.nn.Parameter
        and base.weight.dtype is torch.float32
        and base.weight.shape == (base.out_features, base.in_features)
        and not layer.merged
        and not layer.disable_adapters
        and not layer.lora_variant
        and not any(layer.lora_bias.values())
        and all(adapter in layer.lora_A for adapter in layer.active_adapters)
    )
