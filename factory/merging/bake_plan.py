"""Which tensors a baked model has: where each comes from, whose update it gets, in which dtype it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factory.core.errors import BadInput
from factory.store.checkpoint import HEAD, Checkpoint
from factory.store.tensors import DTYPES, Entry


@dataclass(frozen=True, slots=True)
class Target:
    """One tensor of the model to be written.

    Attributes:
        source: the base's tensor it comes from.
        dtype: safetensors' code of what is written.
        module: whose update is added; None leaves it as it is.
    """

    source: str
    dtype: str
    module: str | None = None


def plan_targets(
    base: Checkpoint, shapes: Mapping[str, tuple[int, int]], dtype: str | None, flip: bool
) -> dict[str, Target]:
    """All tensors to be written, by name.

    An update of only one of two tied weights parts them, as PEFT does: the adapted one gets a tensor of its own.

    Args:
        base: where the weights come from.
        shapes: (d_out, d_in) of each module's update.
        dtype: of all floating-point tensors; None keeps each one's own.
        flip: whether the base keeps linear weights transposed.

    Raises:
        BadInput: the base has no such module, one of another shape, or one that is quantised.
    """
    codes = {name: code for code, name in DTYPES.items()}
    plan = {
        name: Target(name, codes[dtype] if dtype and entry.floating else entry.dtype)
        for name, (_, entry) in base.tensors.items()
    }
    embedding, head = base.embedding, f"{HEAD}.weight"
    wanted = {base.tensor_of(module) if module != HEAD else head: module for module in shapes}
    if base.tied and embedding and (head in wanted or embedding in wanted):
        plan[head] = Target(embedding, plan[embedding].dtype)
    for name, module in wanted.items():
        if name not in plan:
            raise BadInput(f"{base.folder}: has no tensor for module '{module}'; are the adapters of another base?")
        entry = base.tensors[plan[name].source][1]
        expected = shapes[module][::-1] if flip else shapes[module]
        if not entry.floating:
            raise BadInput(f"{base.folder}: tensor '{name}' is {entry.dtype}: a quantised base; bake into the original")
        if (entry.shape if len(entry.shape) > 1 else (*entry.shape, 1)) != expected:
            raise BadInput(
                f"{base.folder}: tensor '{name}' is {entry.shape} and the update of '{module}' {expected}; "
                "are the adapters of another base?"
            )
        plan[name] = Target(plan[name].source, plan[name].dtype, module)
    return plan


def parts_tied_weights(plan: Mapping[str, Target]) -> bool:
    """Whether input embedding and output head were one tensor and become two."""
    head = plan.get(f"{HEAD}.weight")
    return head is not None and head.source != f"{HEAD}.weight"


def baked_config(base: Checkpoint, plan: Mapping[str, Target]) -> dict[str, Any]:
    """The base's configuration, with what baking changed: untied embeddings, another dtype."""
    config = base.config
    changed: dict[str, Any] = dict(config)
    parts = [changed]
    if isinstance(config.get("text_config"), dict):
        changed["text_config"] = dict(config["text_config"])
        parts.append(changed["text_config"])
    entries = {name: base.tensors[target.source][1] for name, target in plan.items()}
    floating = {DTYPES[target.dtype] for name, target in plan.items() if entries[name].floating}
    converted = any(target.dtype != entries[name].dtype for name, target in plan.items())
    for part in parts:
        if parts_tied_weights(plan):
            part["tie_word_embeddings"] = False
        for key in ("dtype", "torch_dtype"):
            if key in part and converted and len(floating) == 1:
                part[key] = min(floating)
    return changed


def numbers_in(entry: Entry) -> int:
    """How many numbers a tensor has."""
    return (entry.stop - entry.start) // width_of(entry.dtype)


def size_of(entry: Entry, dtype: str) -> int:
    """Bytes of a tensor once it is written in a dtype."""
    return entry.stop - entry.start if dtype == entry.dtype else numbers_in(entry) * width_of(dtype)


def width_of(dtype: str) -> int:
    """Bytes of one number."""
    import torch

    return getattr(torch, DTYPES[dtype]).itemsize if dtype in DTYPES else 1
