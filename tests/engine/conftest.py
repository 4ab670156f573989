"""A way to plan a changed pico study in a fresh place."""

from pathlib import Path

import pytest

PICO = Path(__file__).parents[1] / "studies" / "pico.yaml"


@pytest.fixture
def planned(tmp_path):
    """Plan the pico study with `key=value` settings and changes; the store is `tmp_path / "store"`."""
    from factory.engine.study import prepare

    def plan(*settings, data=None, **changes):
        return prepare(tmp_path / "store", str(PICO), settings, changes, data)

    plan.study = PICO
    return plan


@pytest.fixture(scope="session")
def tiny_qwen2(tmp_path_factory):
    """A folder with a random Qwen2 of 0.2M parameters, built as the 7B one is, and a tokenizer with a chat template."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from factory.core.recipes import EmbeddedRecipe
    from factory.models.embedded import make_tokenizer

    folder = tmp_path_factory.mktemp("qwen2") / "tiny"
    texts = ["What is 7 + 12? SELECT name FROM singer; def add(a, b): return a + b"] * 20
    tokenizer = make_tokenizer(texts, EmbeddedRecipe(vocab_size=330))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder
