"""A tiny random Qwen2, and what PEFT says an adapter does to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM


def save_base(folder: Path, seed: int = 0, **changes: Any) -> Path:
    torch.manual_seed(seed)
    shape = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    Qwen2ForCausalLM(Qwen2Config(**{**shape, **heads, "tie_word_embeddings": True, **changes})).save_pretrained(folder)
    return folder


def peft_deltas(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """What PEFT itself says each module's update is, by module name."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(adapter))
    return {
        name.removeprefix("base_model.model."): module.get_delta_weight("default").detach()
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def save_llama(folder: Path, layers: int = 4) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"vocab_size": 64, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": layers}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    LlamaForCausalLM(LlamaConfig(**shape, **heads)).save_pretrained(folder)
    return folder
