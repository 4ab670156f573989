"""Every LoRA option a recipe may set trains, and reloads to the very answers it was trained to; the rest is refused."""

import json

import pytest
import torch

from factory.core.config import parse
from factory.core.errors import BadInput
from factory.core.lora import LoraOptions
from factory.core.recipes import AdapterRecipe, on_base
from factory.evaluation.variants import adapted
from factory.models.load import load_model
from factory.models.quantize import is_quantized
from factory.store.factors import only_linear, read_factors
from factory.training.keep import read_back, write_peft
from factory.training.lora import has_moved, lora_config, settle

QV = ["q_proj", "v_proj"]
OPTIONS = {
    "plain": {},
    "rank and alpha": {"r": 3, "lora_alpha": 7},
    "dropout": {"lora_dropout": 0.3},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "targets": {"target_modules": QV},
    "pattern of targets": {"target_modules": r".*\.0\.mlp\.(up|down)_proj"},
    "excluded": {"exclude_modules": ["down_proj", "self_attn.o_proj"]},
    "layers": {"target_modules": QV, "layers_to_transform": [0]},
    "gaussian": {"init_lora_weights": "gaussian"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "pissa": {"init_lora_weights": "pissa"},
    "olora": {"init_lora_weights": "olora"},
    "pissa with patterns": {"init_lora_weights": "pissa", "use_rslora": True, "rank_pattern": {"q_proj": 2}},
    "patterns": {"rank_pattern": {"q_proj": 2, "down_proj": 6}, "alpha_pattern": {"v_proj": 3.5}},
}
QUANTIZED = ["plain", "rslora", "dora", "patterns", "gaussian"]
CASES = [(name, "full") for name in OPTIONS] + [(name, how) for how in ("nf4", "int8") for name in QUANTIZED]
CASES.remove(("dora", "int8"))  # refused
TOKENS = torch.arange(40).reshape(4, 10) + 20


def options(**given):
    return parse(LoraOptions, {"r": 4, "lora_alpha": 6, **given}, "recipe")


def trained(base, quantization="full", **given):
    """A PEFT model after two steps of AdamW."""
    from peft import get_peft_model

    wanted = options(**given)
    torch.manual_seed(0)
    model = get_peft_model(load_model(str(base), quantization=quantization), lora_config(wanted))
    for parameter in model.parameters():  # as TRL does to quantized bases
        if parameter.requires_grad and quantization != "full":
            parameter.data = parameter.data.bfloat16()
    settle(model, wanted)
    assert not has_moved(model)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert {weight.dtype for weight in weights} == {torch.float32}
    optimizer = torch.optim.AdamW(weights, lr=2e-2)
    model.train()
    for _ in range(2):
        model(input_ids=TOKENS, labels=TOKENS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert has_moved(model)
    return model.eval()


def logits(model):
    with torch.no_grad():
        return model(input_ids=TOKENS).logits


@pytest.mark.parametrize("name, quantization", CASES)
def test_an_option_trains_and_reloads_to_the_same_answers(name, quantization, pico_base, tmp_path):
    model = trained(pico_base, quantization, **OPTIONS[name])
    write_peft(model, tmp_path, {"label": "pico"})
    read_back(tmp_path)
    fresh = load_model(str(pico_base), quantization=quantization)
    assert is_quantized(fresh) == (quantization != "full")
    before = logits(fresh)
    with adapted(fresh, tmp_path) as variant:
        torch.testing.assert_close(logits(variant), logits(model), rtol=1e-4, atol=1e-4)
    assert (logits(model) - before).abs().max() > 1e-2, "it learned nothing, so the test says nothing"
    assert torch.equal(logits(fresh), before), "the base is the base again"
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "pico"


def test_starts_out_of_the_base_are_saved_as_plain_lora_of_twice_the_rank(pico_base, tmp_path):
    write_peft(trained(pico_base, init_lora_weights="pissa", r=3), tmp_path, {"label": "pico"})
    assert only_linear(tmp_path)
    assert {factors.rank for factors in read_factors(tmp_path).modules.values()} == {6}


@pytest.mark.parametrize(
    "given, says",
    [
        ({"target_modules": ["q_proj", "v_porj"]}, r"target_modules: .* fits 'v_porj'; did you mean 'v_proj'"),
        ({"target_modules": ["q_proj", ".*_proj"]}, r"target_modules: .* fits '\.\*_proj'"),  # a list holds endings
        ({"exclude_modules": ["lm_haed"]}, "exclude_modules: .* fits 'lm_haed'"),
        ({"rank_pattern": {"q_porj": 2}}, "rank_pattern: .* did you mean 'q_proj'"),
        ({"target_modules": QV, "alpha_pattern": {"up_proj": 2}}, "alpha_pattern: no module under the adapter fits"),
        ({"target_modules": QV, "layers_to_transform": [0, 7]}, "no layer 7; it has 0 to 0"),
    ],
)
def test_what_the_base_does_not_have_is_refused(given, says, pico_base):
    with pytest.raises(BadInput, match=says):
        trained(pico_base, **given)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is refused"),
        ({"bias": "all"}, "lora.bias|bias: .*'none'"),
        ({"init_lora_weights": "pissa_niter_4"}, "'pissa_niter_4' is refused: .* would not reload"),
        ({"init_lora_weights": "eva"}, "'eva' is refused"),
        ({"init_lora_weights": "loftq"}, "'loftq' is refused"),
        ({"init_lora_weights": False}, "'False' is refused"),
        ({"init_lora_weights": "gausian"}, "init_lora_weights"),
        ({"layers_to_transform": [0]}, "needs target_modules to be a list"),
        ({"target_modules": "q_(proj"}, r"target_modules: 'q_\(proj' is not a pattern"),
        ({"rank_pattern": {"*": 2}}, r"rank_pattern: '\*' is not a pattern"),
        ({"r": 0}, "r: .*greater than 0"),
        ({"lora_rank": 8}, "unknown key 'lora_rank'"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_read(given, says):
    with pytest.raises(BadInput, match=says):
        options(**given)


def recipe(**given):
    return parse(AdapterRecipe, {"tasks": ["tiny_math"], **given}, "recipe")


def test_starts_out_of_the_base_want_it_whole_and_no_reference():
    pissa = {"init_lora_weights": "pissa"}
    with pytest.raises(BadInput, match=r"beta 0\.1 would pull"):
        recipe(lora=pissa, beta=0.1)
    with pytest.raises(BadInput, match="which are nf4 here"):
        on_base(recipe(lora=pissa), "nf4", "adapter math")
    with pytest.raises(BadInput, match="use_dora together with int8"):
        on_base(recipe(lora={"use_dora": True}), "int8", "adapter math")
    assert on_base(recipe(lora=pissa, quantization="full"), "nf4", "adapter math").quantization == "full"
    assert on_base(recipe(), "int8", "adapter math").quantization == "int8"
