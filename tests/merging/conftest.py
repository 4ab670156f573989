"""A tiny random Qwen2 and real PEFT adapters with random factors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

Make = Callable[..., Path]


def save_base(folder: Path, seed: int = 0, **changes: Any) -> Path:
    torch.manual_seed(seed)
    shape = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    Qwen2ForCausalLM(Qwen2Config(**{**shape, **heads, "tie_word_embeddings": True, **changes})).save_pretrained(folder)
    return folder


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


def peft_deltas(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """What PEFT itself says each module's update is, by module name."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(adapter))
    return {
        name.removeprefix("base_model.model."): module.get_delta_weight("default").detach()
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }
