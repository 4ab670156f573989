"""What a job on a base that is not made here takes of a GPU: memory by part, and hours. Estimates, said to be so.

Lengths are the longest ones, prompts the assumed one, so that a real job takes less. Times are arithmetic over an
assumed rate: two operations for each parameter and token forward, and six to train on one, for activations are computed
twice and a frozen base has no gradients of its own (Kaplan et al. 2020, arXiv 2001.08361, 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factory.benchmarks._benchmark import CHOICES
from factory.core.lora import FULL, LoraOptions, Quantization
from factory.core.recipes import AdapterRecipe
from factory.engine import estimate
from factory.models.quantize import BITS
from factory.models.shapes import Shape

GENERATING, TRAINING = 50e12, 200e12
"""Floating point operations a second that a GPU is assumed to do: decoding is bound by memory, training is not."""
DEVICE_GIB = 80
PROMPT_TOKENS, EXAMPLE_TOKENS = 512, 150
SAMPLED_AT_ONCE, SCORED_AT_ONCE, CHOICES_EACH = 64, 32, 4
ASSUMED = (
    f"assumed, not measured: a GPU of {DEVICE_GIB} GB that does {GENERATING / 1e12:g} TFLOP/s generating and "
    f"{TRAINING / 1e12:g} training in bf16; prompts of {PROMPT_TOKENS} tokens, all completions of full length"
)
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one job takes.

    Attributes:
        parts_gib: GPU memory by part; of what is not there at the same time, the larger.
        hours: at the assumed rates.
    """

    parts_gib: Mapping[str, float]
    hours: float

    @property
    def gib(self) -> float:
        """GPU memory at its peak."""
        return sum(self.parts_gib.values())

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "gib": round(self.gib, 2),
            "hours": round(self.hours, 3),
            "parts_gib": {name: round(size, 3) for name, size in self.parts_gib.items()},
        }


def of_adapter(recipe: AdapterRecipe, shape: Shape) -> Footprint:
    """Of a training."""
    completions = estimate.trained(recipe) // recipe.max_steps
    batch = recipe.per_device_train_batch_size or completions
    length = PROMPT_TOKENS + recipe.max_completion_length
    checkpointing = bool(recipe.trl.get("gradient_checkpointing", True))
    update = _activations(shape, batch, length, checkpointing) + _logits(shape, batch, recipe.max_completion_length)
    sampling = _cache(shape, min(completions, max(SAMPLED_AT_ONCE, recipe.num_generations)), length)
    parts = {
        "base": base_gib(shape, recipe.quantization or FULL),
        # fp32: the factors, their gradients, AdamW's two moments.
        "adapter": 16 * lora_parameters(recipe.lora, shape) / GIB,
        "update" if update > sampling else "sampling": max(update, sampling),
    }
    prompts = recipe.max_steps * recipe.prompts_per_step * PROMPT_TOKENS
    sampled = estimate.generated(recipe) * recipe.max_completion_length + prompts
    trained = estimate.trained(recipe) * length
    seconds = 2 * shape.parameters * sampled / GENERATING + 6 * shape.parameters * trained / TRAINING
    return Footprint(parts, seconds / 3600)


def of_cell(decoding: Mapping[str, Any], size: int | None, method: str, shape: Shape, how: Quantization) -> Footprint:
    """Of scoring one variant on a benchmark of `size` items, 500 where that is not known."""
    items = min(size or 500, int(decoding["limit"] or size or 500))
    prompt = PROMPT_TOKENS + (decoding["few_shot"] or 0) * EXAMPLE_TOKENS
    if method == CHOICES:
        written, read = 0, items * CHOICES_EACH * prompt
        length = prompt
    else:
        each = int(decoding["samples"]) + int(decoding["greedy"])
        written, read = items * each * int(decoding["max_new_tokens"]), items * each * prompt
        length = prompt + int(decoding["max_new_tokens"])
    seconds = 2 * shape.parameters * (written / GENERATING + read / TRAINING)
    parts = {"base": base_gib(shape, how), "sampling": _cache(shape, SCORED_AT_ONCE, length)}
    return Footprint(parts, seconds / 3600)


def base_gib(shape: Shape, how: Quantization) -> float:
    """The base's weights: quantized linear layers, the rest in bf16."""
    bits = BITS.get(how, 16)
    # A quantized weight is spelled out for its product: the largest is there twice for a moment.
    spelled = max(d_out * d_in for d_out, d_in in shape.linear.values()) * 2 if how != FULL else 0
    return (shape.linear_parameters * bits / 8 + shape.other_parameters * 2 + spelled) / GIB


def lora_parameters(options: LoraOptions, shape: Shape) -> int:
    """Parameters of an adapter; patterns and excluded modules are not looked at."""
    targets = options.target_modules
    chosen = [
        size
        for name, size in shape.linear.items()
        if isinstance(targets, str) or any(target.endswith(name) for target in targets)
    ]
    layers = len(options.layers_to_transform or range(shape.layers))
    return layers * sum(options.r * (d_out + d_in) for d_out, d_in in chosen)


def _activations(shape: Shape, batch: int, tokens: int, checkpointing: bool) -> float:
    """GiB in bf16: 34 bytes for each token and unit of a layer (Korthikanti et al. 2022, arXiv 2205.05198, 4.1).

    With checkpointing only each layer's input is kept, and one layer at a time is there whole.
    """
    whole = 34 * batch * tokens * shape.hidden
    if not checkpointing:
        return whole * shape.layers / GIB
    return (2 * batch * tokens * shape.hidden * shape.layers + whole) / GIB


def _logits(shape: Shape, batch: int, completion: int) -> float:
    """GiB: in bf16, in fp32, and their gradient."""
    return batch * (completion + 1) * shape.vocabulary * (2 + 4 + 4) / GIB


def _cache(shape: Shape, sequences: int, tokens: int) -> float:
    """GiB of keys and values in bf16."""
    return sequences * tokens * shape.layers * 2 * shape.kv_heads * shape.head_size * 2 / GIB
