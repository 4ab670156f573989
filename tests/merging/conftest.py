"""A tiny random Qwen2 and real PEFT adapters with random factors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_base import save_base
from transformers import AutoModelForCausalLM

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hidden 32, 2 layers, tied embeddings, and a tokenizer beside it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = save_base(tmp_path_factory.mktemp("base"))
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(96)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="w1").save_pretrained(folder)
    return folder


@pytest.fixture
def make_adapter(base: Path, tmp_path: Path) -> Make:
    """make_adapter("a", seed=1, r=4, ...) saves an adapter through PEFT and gives its folder."""

    def make(name: str, *, seed: int = 0, on: Path | None = None, edit: Any = None, **options: Any) -> Path:
        config = LoraConfig(
            **{"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM", **options}
        )
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(on or base, dtype=torch.float32), config)
        generator = torch.Generator().manual_seed(seed)
        for tensor_name, tensor in sorted(model.named_parameters()):
            if "lora_" in tensor_name:
                tensor.data = torch.randn(tensor.shape, generator=generator) * 0.1
        model.save_pretrained(tmp_path / name)
        if edit:
            path = tmp_path / name / "adapter_config.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), **edit}))
        return tmp_path / name

    return make
