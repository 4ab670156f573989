"""GRPO itself on quantized bases and from starts out of the base: it resumes to the same bits and says what it is."""

import pytest
import torch

from factory.core.errors import BadInput
from factory.core.progress import silent
from factory.core.recipes import AdapterRecipe, on_base
from factory.evaluation.variants import adapted
from factory.models.load import load_model
from factory.store.factors import read_factors
from factory.store.ref import Ref
from factory.store.store import Store
from factory.training.train import build_adapter

WEIGHTS = "adapter_model.safetensors"
REF = Ref("pico", "adapter", "x", 0, "0" * 16)
TOKENS = torch.arange(40).reshape(4, 10) + 20


class CutOff(Exception):
    pass


def spec(pico_base, quantization, **lora):
    recipe = AdapterRecipe(
        tasks=["tiny_math"],
        max_steps=4,
        save_steps=2,
        prompts_per_step=2,
        num_generations=4,
        learning_rate=1e-2,
        max_completion_length=12,
        lora={"r": 2, "lora_alpha": 4, **lora},
        rewards={"correct": 1.0, "format": 0.5},
    )
    base = {"label": "pico", "path": str(pico_base), "revision": None, "hash": "pico", "quantization": quantization}
    return {"recipe": on_base(recipe, quantization, "x").model_dump(), "seed": 0, "base": base, "data": None}


@pytest.mark.parametrize(
    "quantization, lora", [("nf4", {}), ("full", {"init_lora_weights": "pissa"})], ids=["nf4", "pissa"]
)
def test_a_run_that_was_cut_off_ends_with_the_same_bits(quantization, lora, pico_base, tmp_path):
    given, whole, cut = spec(pico_base, quantization, **lora), Store(tmp_path / "whole"), Store(tmp_path / "cut")
    expected = build_adapter(whole, REF, given, silent)
    card = whole.card(REF)
    assert card["quantization"]["kind"] == quantization
    assert card["warning"] is None, "it learned nothing, so the rest says nothing"

    def stop(text, done=None):
        if text.startswith("step 3/"):
            raise CutOff

    with pytest.raises(CutOff):
        build_adapter(cut, REF, given, stop)
    again = build_adapter(cut, REF, given, silent)
    assert (again / WEIGHTS).read_bytes() == (expected / WEIGHTS).read_bytes()
    # And it is of use: the base so loaded answers otherwise under it.
    model = load_model(str(pico_base), quantization=quantization)
    with torch.no_grad():
        before = model(input_ids=TOKENS).logits
        with adapted(model, again) as variant:
            assert (variant(input_ids=TOKENS).logits - before).abs().max() > 1e-3


def test_factors_are_not_rounded_to_bf16_on_a_quantized_base(pico_base, tmp_path):
    folder = build_adapter(Store(tmp_path), REF, spec(pico_base, "nf4"), silent)
    factors = read_factors(folder).modules.values()
    assert any(not torch.equal(one.lora_B, one.lora_B.bfloat16().float()) for one in factors)


def test_supervised_steps_on_an_8_bit_base(pico_base, tmp_path):
    given, store = spec(pico_base, "int8", use_rslora=True), Store(tmp_path)
    build_adapter(store, REF, {**given, "recipe": {**given["recipe"], "strategy": "sft"}}, silent)
    card = store.card(REF)
    assert (card["quantization"]["kind"], card["steps"], card["warning"]) == ("int8", 4, None)


def test_a_target_that_is_not_there_is_refused_before_training(pico_base, tmp_path):
    given = spec(pico_base, "nf4", target_modules=["q_proj", "v_porj"])
    with pytest.raises(BadInput, match=r"target_modules: .*'v_porj'; did you mean 'v_proj'"):
        build_adapter(Store(tmp_path), REF, given, silent)
