"""The embedded base: every text round-trips, plain transformers loads it, the same recipe gives the same bits."""

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pico import PICO
from transformers import AutoModelForCausalLM, AutoTokenizer

from factory.models.chat import prompt_ids
from factory.models.generate import generate


def test_it_loads_with_plain_transformers_and_talks(pico_base):
    model = AutoModelForCausalLM.from_pretrained(pico_base)
    tokenizer = AutoTokenizer.from_pretrained(pico_base)
    assert model.dtype == torch.float32
    assert model.config.max_position_embeddings >= 4096
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|user|>hi<|assistant|>"
    # Trainers decode without special tokens; the envelope must survive that.
    ids = tokenizer("<answer>4</answer><|end|>")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<answer>4</answer>"


def test_every_text_round_trips(pico_base):
    tokenizer = AutoTokenizer.from_pretrained(pico_base)

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=60))
    def check(text):
        assert tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False) == text

    check()


def test_the_same_recipe_and_seed_give_the_same_bits(pico_base, tmp_path):
    from factory.core.progress import silent
    from factory.training.warmup import warm_up

    model, tokenizer, _ = warm_up(PICO, 0, silent)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for name in ("model.safetensors", "tokenizer.json"):
        digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for folder in (pico_base, tmp_path)]
        assert digests[0] == digests[1], name


def test_a_warm_up_that_was_cut_off_ends_with_the_same_bits(pico_base, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    from factory.training import warmup

    class CutOff(Exception):
        pass

    def cut(text, done=None):
        if "step 50/" in text:
            raise CutOff

    monkeypatch.setattr(warmup, "CHECKPOINT_EVERY", 20)
    with pytest.raises(CutOff):
        warmup.warm_up(PICO, 0, cut, tmp_path)
    said = []
    model, _, _ = warmup.warm_up(PICO, 0, lambda text, done=None: said.append(text), tmp_path)
    assert all("step 25/" not in text for text in said), "it began again"
    whole = load_file(pico_base / "model.safetensors")
    own = model.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in whole.items())


def test_sampling_is_seeded_and_ignores_the_bases_own_generation_settings(pico_base):
    model = AutoModelForCausalLM.from_pretrained(pico_base).eval()
    tokenizer = AutoTokenizer.from_pretrained(pico_base, padding_side="left")
    prompts = [prompt_ids(tokenizer, text) for text in ("What is 2 + 3 - 1?", "Find 7 + 8 + 9.")]
    first = generate(model, tokenizer, prompts, samples=3, max_new_tokens=8, seed=5)
    assert [len(mine) for mine in first] == [3, 3]
    model.generation_config.top_k = 1  # would make every sample the greedy one
    assert generate(model, tokenizer, prompts, samples=3, max_new_tokens=8, seed=5) == first
    assert model.generation_config.top_k == 1
    assert generate(model, tokenizer, prompts, samples=3, max_new_tokens=8, seed=6) != first


def test_greedy_is_the_argmax_whatever_the_padding(pico_base):
    model = AutoModelForCausalLM.from_pretrained(pico_base).eval()
    tokenizer = AutoTokenizer.from_pretrained(pico_base, padding_side="left")
    short, long = "Find 2 + 2 + 2.", "Table pets(name, city, age, size). Show name where age is over 5."
    prompts = [prompt_ids(tokenizer, text) for text in (short, long)]
    together = generate(model, tokenizer, prompts, samples=0, max_new_tokens=6)
    ids = prompt_ids(tokenizer, short)
    for _ in range(together[0][0].tokens):
        with torch.no_grad():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    own = tokenizer.decode(ids[len(prompt_ids(tokenizer, short)) :], skip_special_tokens=True)
    assert together[0][0].text == own
