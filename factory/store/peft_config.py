"""PEFT's `adapter_config.json`: what of it changes the arithmetic of an adapter, and what of it we cannot honour."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json
from factory.core.errors import BadInput, CorruptFile

CONFIG = "adapter_config.json"

# The update is something else than scale * B @ A, but with the base at hand it can be told what; PEFT's own merger
# ignores most of these silently.
_NEEDS_BASE = {
    "use_dora": "DoRA scales the base weight's columns; its update is not B @ A",
    "lora_bias": "a LoRA bias is trained besides B @ A",
    "modules_to_save": "whole modules were trained besides the LoRA factors",
    "trainable_token_indices": "embedding rows were trained besides the LoRA factors",
    "target_parameters": "LoRA on bare parameters",
}
_REFUSED = {
    "layer_replication": "the base's layers are replicated",
    "use_qalora": "QALoRA pools its input in groups",
    "use_bdlora": "block-diagonal factors are not handled",
    "alora_invocation_tokens": "aLoRA applies only after its invocation tokens and cannot be merged",
    "kasa_config": "KaSA truncates the base weights",
    "monteclora_config": "MonteCLoRA samples its update",
    "arrow_config": "Arrow routes between adapters for each token",
}
# Loading these decomposes the base again, the same each time.
_REPEATABLE_STARTS = ("pissa", "olora")
# These start from B = 0 or A = 0 and leave the base weights alone.
_PLAIN_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")


def needs_base(config: Mapping[str, Any]) -> list[str]:
    """What makes an adapter's update more than its factors, so that only the base tells it; each with the reason."""
    found = [f"{key} is set: {reason}" for key, reason in _NEEDS_BASE.items() if config.get(key)]
    if config.get("bias", "none") != "none":
        found.append(f"bias is '{config['bias']}': base biases were trained too")
    start = config.get("init_lora_weights", True)
    if start in _REPEATABLE_STARTS:
        found.append(f"init_lora_weights is '{start}': loading it changes the base weights")
    return found


def read_config(folder: Path, *, with_base: bool = False) -> dict[str, Any]:
    """Read and check the configuration of a LoRA adapter.

    Args:
        folder: in PEFT's format.
        with_base: whether the base is at hand, so that updates that are more than factors are fine too.

    Raises:
        BadInput: no such file, another kind of adapter, or a feature that cannot be merged exactly, by name.
        CorruptFile: it is not JSON, or r and lora_alpha are not numbers.
    """
    path = folder / CONFIG
    if not path.is_file():
        what = "is missing; expected a folder in PEFT's format" if folder.is_dir() else "is missing: no such folder"
        raise BadInput(f"{path}: {what}")
    config = read_json(path)
    if not isinstance(config, dict):
        raise CorruptFile(f"{path}: expected a JSON object, got a {type(config).__name__}")
    kind = str(config.get("peft_type", "")).upper()
    if kind != "LORA":
        raise BadInput(f"{path}: peft_type is '{config.get('peft_type')}'; only LORA adapters can be merged")
    for key, reason in _REFUSED.items():
        if config.get(key):
            raise BadInput(f"{path}: {key} is set: {reason}; bake it into its base model first")
    if not with_base:
        for reason in needs_base(config):
            raise BadInput(f"{path}: {reason}; 'factory merge' takes it where the base is a folder or is on the Hub")
    start = config.get("init_lora_weights", True)
    if start not in (*_PLAIN_STARTS, *_REPEATABLE_STARTS):
        raise BadInput(
            f"{path}: init_lora_weights is '{start}': loading it changes the base weights, and not the same each time; "
            "save it with path_initial_model_for_weight_conversion, which makes it a plain LoRA"
        )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise CorruptFile(f"{path}: r is {rank!r}; expected a positive integer")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not math.isfinite(alpha):
        raise CorruptFile(f"{path}: lora_alpha is {alpha!r}; expected a number")
    for key in ("rank_pattern", "alpha_pattern"):
        patterns = config.get(key) or {}
        if not isinstance(patterns, dict) or not all(isinstance(n, int | float) and n > 0 for n in patterns.values()):
            raise CorruptFile(f"{path}: {key} is {patterns!r}; expected a mapping of names to positive numbers")
    return config


def rank_and_scale(config: Mapping[str, Any], module: str) -> tuple[int, float]:
    """Rank and scale that PEFT gives one module: alpha / r, or alpha / sqrt(r) with rsLoRA (arXiv 2312.03732).

    Args:
        config: as `read_config` gave it.
        module: its name in the base model (`model.layers.0.self_attn.q_proj`).
    """
    rank = int(_pattern_value(config.get("rank_pattern"), module, config["r"]))
    alpha = float(_pattern_value(config.get("alpha_pattern"), module, config["lora_alpha"]))
    return rank, alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def plain_config(
    ranks: Mapping[str, int], *, base: str | None, revision: str | None, task_type: str | None, fan_in_fan_out: bool
) -> dict[str, Any]:
    """A configuration under which each module has its own rank and the scale is 1 everywhere.

    Modules are named in full and patterns are anchored: an ending would also match modules the adapter does not have,
    and PEFT would start those at random without a word (peft#3737).
    """
    counts = sorted(ranks.values())
    common = max(sorted(set(counts)), key=counts.count)
    different = {f"^{re.escape(name)}": rank for name, rank in sorted(ranks.items()) if rank != common}
    return {
        "peft_type": "LORA",
        "task_type": task_type,
        "base_model_name_or_path": base,
        "revision": revision,
        "inference_mode": True,
        "r": common,
        "lora_alpha": common,
        "rank_pattern": different,
        "alpha_pattern": dict(different),
        "target_modules": sorted(ranks),
        "exclude_modules": None,
        "layers_to_transform": None,
        "layers_pattern": None,
        "modules_to_save": None,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": fan_in_fan_out,
        "init_lora_weights": True,
        "use_rslora": False,
        "use_dora": False,
        "lora_bias": False,
    }


def _pattern_value(patterns: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """PEFT's own rule (`get_pattern_key`): the first pattern that matches the end of the name."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
