"""The shape of an adapter and how a base is loaded under it: what a person may set of PEFT's `LoraConfig`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from factory.core.config import Strict

Quantization = Literal["full", "nf4", "int8"]
"""How a base's linear layers are held: as its files are, in 4-bit NormalFloat, or in 8 bit."""
FULL: Quantization = "full"

Rank = Annotated[int, Field(gt=0)]
Layer = Annotated[int, Field(ge=0)]
Start = Literal[True, "gaussian", "orthogonal", "pissa", "olora"]
FROM_THE_BASE = ("pissa", "olora")

_BESIDES = "an adapter of factors cannot hold it, so merging and serving drop it"
_STARTS = {
    "pissa_niter": "its approximate decomposition differs each time it is loaded, so the adapter would not reload; "
    "use 'pissa'",
    "eva": "it needs activations of the base on data; use 'orthogonal' or 'gaussian'",
    "corda": "it needs covariances of the base on data; use 'pissa'",
    "lora_ga": "it needs gradients of the base on data; use 'pissa'",
    "loftq": "it changes the 4-bit base itself, so the adapter would not fit the base as others load it",
    "mica": "it trains only one factor, and its frozen one is drawn from the base each time it is loaded",
    "false": "it starts from a random update; it is meant for tests",
}
_REFUSED = {
    "modules_to_save": f"whole modules are trained besides the factors, and {_BESIDES}; name them in target_modules",
    "lora_bias": f"biases are trained besides the factors, and {_BESIDES}",
    "trainable_token_indices": f"embedding rows are trained besides the factors, and {_BESIDES}",
    "target_parameters": "LoRA on bare parameters is not supported; name modules in target_modules",
    "layer_replication": "it changes the base's layers, so no other adapter would fit it",
    "alora_invocation_tokens": "an adapter that applies after some tokens only cannot be merged",
    "loftq_config": _STARTS["loftq"],
    "eva_config": _STARTS["eva"],
    "corda_config": _STARTS["corda"],
    "lora_ga_config": _STARTS["lora_ga"],
}


class LoraOptions(Strict):
    """PEFT's `LoraConfig`, the part a recipe may set; names, defaults and meanings are PEFT's.

    Attributes:
        r: rank of the update.
        lora_alpha: numerator of the scale; the update is `lora_alpha / r * B @ A`.
        lora_dropout: dropout on the adapter's input while training.
        target_modules: module name endings, one pattern for whole names, or `all-linear` (all but the output head).
        exclude_modules: module name endings, or one pattern, to leave out of the targets.
        layers_to_transform: only these layers' modules, counted from 0; needs `target_modules` to be a list.
        rank_pattern: other ranks for the modules whose name ends in the key (a pattern).
        alpha_pattern: other `lora_alpha`, likewise.
        use_rslora: scale by `lora_alpha / sqrt(r)` instead (Kalajdzievski 2023, arXiv 2312.03732).
        use_dora: train the weights' column norms too (Liu et al. 2024, arXiv 2402.09353).
        init_lora_weights: how training starts: `true` (B = 0), `gaussian`, `orthogonal`; `pissa` (arXiv 2404.02948)
            and `olora` (arXiv 2406.01775) start from the base's own main directions and are saved as plain LoRA of
            twice the rank, which any library loads.
        bias: only `none`: trained biases cannot be merged.
    """

    r: Rank = 16
    lora_alpha: Annotated[float, Field(gt=0)] = 32
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Annotated[list[str], Field(min_length=1)] | str = "all-linear"
    exclude_modules: list[str] | str | None = None
    layers_to_transform: Annotated[list[Layer], Field(min_length=1)] | None = None
    rank_pattern: dict[str, Rank] = {}
    alpha_pattern: dict[str, Annotated[float, Field(gt=0)]] = {}
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: Start = True
    bias: Literal["none"] = "none"

    @model_validator(mode="before")
    @classmethod
    def _refused_by_name(cls, options: Any) -> Any:
        for key, reason in _REFUSED.items() if isinstance(options, dict) else ():
            if options.get(key):
                raise ValueError(f"{key} is refused: {reason}")
        return options

    @field_validator("init_lora_weights", mode="before")
    @classmethod
    def _start_is_refused_by_name(cls, start: Any) -> Any:
        name = str(start).lower()
        for refused, reason in _STARTS.items():
            if name == refused or name.startswith(f"{refused}_"):
                raise ValueError(f"'{start}' is refused: {reason}")
        return start

    @field_validator("target_modules", "exclude_modules", "rank_pattern", "alpha_pattern")
    @classmethod
    def _patterns_are_patterns(cls, value: Any) -> Any:
        for pattern in [value] if isinstance(value, str) else value if isinstance(value, dict) else ():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"'{pattern}' is not a pattern: {error}") from error
        return value

    @model_validator(mode="after")
    def _layers_need_a_list(self) -> LoraOptions:
        if self.layers_to_transform is not None and isinstance(self.target_modules, str):
            raise ValueError(
                f"layers_to_transform needs target_modules to be a list, as [q_proj, v_proj]; it is "
                f"'{self.target_modules}'"
            )
        return self
