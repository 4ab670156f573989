"""Cells: what is scored is the adapter, the base comes back untouched, a killed cell ends with the same bits."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from factory.core.errors import BadInput
from factory.core.progress import silent
from factory.core.study import Decoding
from factory.evaluation import score
from factory.evaluation.variants import adapted
from factory.store.ref import Ref
from factory.store.store import Store

TOKENS = torch.arange(20, 44).reshape(2, 12)


@pytest.fixture
def adapter(pico_base, tmp_path):
    torch.manual_seed(0)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(pico_base),
        LoraConfig(r=3, lora_alpha=7, use_rslora=True, target_modules="all-linear", init_lora_weights=False),
    )
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_the_adapter_is_applied_as_peft_does_and_taken_off_without_a_trace(pico_base, adapter):
    model = AutoModelForCausalLM.from_pretrained(pico_base).eval()
    reference = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(pico_base), adapter).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        base = model(TOKENS).logits
        with adapted(model, adapter) as variant:
            got = variant(TOKENS).logits
        expected = reference(TOKENS).logits
    assert torch.allclose(got, expected, atol=1e-5)
    assert not torch.allclose(got, base, atol=1e-2)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_it_is_taken_off_when_scoring_fails(pico_base, adapter):
    model = AutoModelForCausalLM.from_pretrained(pico_base).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ZeroDivisionError), adapted(model, adapter):
        raise ZeroDivisionError
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_an_adapter_of_another_base_is_refused(adapter, pico_base):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    other = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    )
    with pytest.raises(BadInput, match="another base"), adapted(other, adapter):
        pass


def spec(base, decoding):
    return {
        "variant": "base", "key": "k" * 16, "adapter": None, "model": None, "split": "test", "seed": 0,
        "base": {"label": "pico", "path": str(base), "revision": None, "hash": "pico"},
        "benchmark": "tiny_math", "decoding": decoding.model_dump(), "trained_tasks": [], "data": None,
    }  # fmt: skip


def test_a_cell_cut_off_between_chunks_ends_with_the_same_items(pico_base, tmp_path, monkeypatch):
    decoding = Decoding(samples=2, max_new_tokens=8, limit=7)
    # Three items a chunk, so that seven items are three chunks.
    monkeypatch.setattr("factory.models.generate.sequences_at_once", lambda model, tokens: 6)
    ref = Ref("pico", "cell", "base-on-tiny_math", 0, "1" * 16)
    whole, resumed = Store(tmp_path / "whole"), Store(tmp_path / "resumed")
    score.build_cell(whole, ref, spec(pico_base, decoding), silent)

    class CutOff(Exception):
        pass

    def cut(text, done=None):
        if text.startswith("6/"):
            raise CutOff

    with pytest.raises(CutOff):
        score.build_cell(resumed, ref, spec(pico_base, decoding), cut)
    assert not resumed.has(ref)
    score.build_cell(resumed, ref, spec(pico_base, decoding), silent)
    items = "items.jsonl"
    assert (whole.path(ref) / items).read_bytes() == (resumed.path(ref) / items).read_bytes()
    lines = [json.loads(line) for line in (whole.path(ref) / items).read_text().splitlines()]
    assert len(lines) == 7
    assert all(len(line["scores"]) == 2 and len(line["completions"]) == 3 for line in lines)


def test_metrics_exclude_and_count_what_could_not_be_scored():
    from factory.core.records import Outcome

    outcomes = [
        Outcome("a", [1.0, None], 1.0, ["x", "y", "z"], ["", "broken", ""], [1, 1, 1]),
        Outcome("b", [0.0, 0.0], None, ["x", "y", "z"], ["", "", "broken"], [1, 1, 1]),
    ]
    expected = {"sampled": round(1 / 3, 6), "greedy": 1.0, "mixed": 0.5, "unscorable": 2, "others": {}}
    assert score.metrics_of(outcomes) == expected


@pytest.mark.parametrize("benchmark, kept", [("nested_ops@easy", 3), ("tiny_math", 0)])
def test_components_are_kept_where_shares_of_them_are_reported(pico_base, tmp_path, benchmark, kept):
    store, ref = Store(tmp_path), Ref("pico", "cell", "base-on-it", 0, "1" * 16)
    plain = {**spec(pico_base, Decoding(samples=2, max_new_tokens=4, limit=3)), "benchmark": benchmark}
    score.build_cell(store, ref, plain, silent)
    lines = [json.loads(line) for line in (store.path(ref) / "items.jsonl").read_text().splitlines()]
    assert [len(line["components"]) for line in lines] == [kept] * 3
    assert all(set(said) == {"format", "has_steps", "steps"} for line in lines for said in line["components"])
    declared = {"has_steps", "step_accuracy", "faithful_when_correct"} if kept else set()
    assert set(store.card(ref)["shares"]) == declared
