"""From a recipe's LoRA options to PEFT's, and what PEFT and TRL would do without a word.

PEFT ignores a target, a pattern or a layer that the base does not have; TRL rounds the factors of a quantized base to
bf16; PiSSA and OLoRA move a part of the base into the adapter. Here the first are refused, the second is undone, and
the third are written as plain LoRA.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from factory.core.errors import BadInput
from factory.core.lora import FROM_THE_BASE, LoraOptions
from factory.store.factors import AdapterFactors, Factors

ADAPTER = "default"
PREFIX = "base_model.model."
ALL = "all-linear"


def lora_config(options: LoraOptions) -> Any:
    """PEFT's `LoraConfig` of a causal LM."""
    from peft import LoraConfig

    return LoraConfig(task_type="CAUSAL_LM", **options.model_dump())


def settle(model: Any, options: LoraOptions) -> None:
    """Check and correct a PEFT model that has just been made with `lora_config(options)` and not been trained.

    Its factors are in fp32 afterwards: where the learning rate is 1e-5, a step is less than what bf16 can tell of a
    weight of 0.01, so that nothing would be learned.

    Raises:
        BadInput: a target, a pattern or a layer that the base does not have.
    """
    layers = _layers(model)
    _check_targets(model, layers, options)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    for layer in layers.values():
        layer.start = _weights(layer)


def plain_factors(model: Any) -> AdapterFactors | None:
    """The update of an adapter that started from the base's weights, as factors of twice the rank; None for others.

    The base under it is W - s B0 A0, so that the update of W is s (B A - B0 A0), with s the adapter's scale.
    """
    import torch

    config = model.peft_config[ADAPTER]
    if config.init_lora_weights not in FROM_THE_BASE:
        return None
    modules = {}
    for name, layer in _layers(model).items():
        (A, B), (A0, B0) = _weights(layer), layer.start
        modules[name] = Factors(torch.cat([A, A0]), layer.scaling[ADAPTER] * torch.cat([B, -B0], dim=1))
    return AdapterFactors(dict(sorted(modules.items())), base=config.base_model_name_or_path, revision=config.revision)


def has_moved(model: Any) -> bool:
    """Whether training changed a factor."""
    import torch

    layers = _layers(model).values()
    return not all(torch.equal(*pair) for layer in layers for pair in zip(_weights(layer), layer.start, strict=True))


def _layers(model: Any) -> dict[str, Any]:
    """The modules under the adapter, by their name in the base."""
    from peft.tuners.lora import LoraLayer

    return {
        name.removeprefix(PREFIX): module for name, module in model.named_modules() if isinstance(module, LoraLayer)
    }


def _weights(layer: Any) -> list[Any]:
    """lora_A (r, d_in) and lora_B (d_out, r), copies on the CPU."""
    return [factor[ADAPTER].weight.detach().cpu().clone() for factor in (layer.lora_A, layer.lora_B)]


def _check_targets(model: Any, layers: Mapping[str, Any], options: LoraOptions) -> None:
    base = [
        name.removeprefix(PREFIX).removesuffix(".base_layer")
        for name, module in model.named_modules()
        if hasattr(module, "in_features") and "lora_" not in name
    ]
    for key, wanted, names in (
        ("target_modules", [] if options.target_modules == ALL else options.target_modules, base),
        ("exclude_modules", options.exclude_modules or [], base),
        ("rank_pattern", options.rank_pattern, list(layers)),
        ("alpha_pattern", options.alpha_pattern, list(layers)),
    ):
        for pattern in [wanted] if isinstance(wanted, str) else wanted:
            how = "whole" if isinstance(wanted, str) else "ending" if isinstance(wanted, list) else "pattern"
            if not any(_fits(pattern, name, how) for name in names):
                raise BadInput(f"lora.{key}: no {_of(key)} fits '{pattern}'; {_hint(pattern, names)}")
    numbers = {int(match[1]) for name in base if (match := re.search(r"\.(\d+)\.", name))}
    for layer in options.layers_to_transform or []:
        if layer not in numbers:
            raise BadInput(f"lora.layers_to_transform: the base has no layer {layer}; it has 0 to {max(numbers)}")


def _of(key: str) -> str:
    return "module under the adapter" if key.endswith("pattern") else "linear module of the base"


def _fits(text: str, name: str, how: str) -> bool:
    """PEFT's own rules: one text is a pattern of whole names, a list holds endings, a mapping patterns of endings."""
    if how == "ending":
        return name == text or name.endswith(f".{text}")
    return re.fullmatch(text if how == "whole" else rf"(.*\.)?({text})", name) is not None


def _hint(pattern: str, names: Iterable[str]) -> str:
    endings = sorted({name.rpartition(".")[2] for name in names})
    near = difflib.get_close_matches(pattern, endings, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else f"known endings: {', '.join(endings)}"
