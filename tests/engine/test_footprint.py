"""Estimates of memory against hand-computed sizes and against what the libraries really make."""

import json
from pathlib import Path

import pytest

from factory.core.errors import BadInput
from factory.core.lora import LoraOptions
from factory.engine import footprint
from factory.engine.show import dry_run_result, dry_run_text
from factory.engine.study import prepare
from factory.models.bases import Base
from factory.models.load import load_model
from factory.models.shapes import shape_of

STUDY = str(Path(__file__).parents[2] / "studies" / "qwen2.5-coder-7b.yaml")
CODER = Base("q", "Qwen/Qwen2.5-Coder-7B-Instruct", None, "x", resolved=False)


def test_qwen2_5_7b_by_its_name():
    shape = shape_of(CODER)
    assert shape.parameters + 28 * (3584 + 512 + 512) == 7_615_616_512  # its model card's, biases included
    assert footprint.lora_parameters(LoraOptions(r=16), shape) == 40_370_176  # PEFT's count
    assert footprint.lora_parameters(
        LoraOptions(r=8, target_modules=["q_proj"], layers_to_transform=[0, 1]), shape
    ) == (2 * 8 * (3584 + 3584))
    linear = 28 * (2 * 3584 * 3584 + 2 * 3584 * 512 + 3 * 3584 * 18944)
    rest = 2 * 152064 * 3584 + 57 * 3584
    spelled = 3584 * 18944 * 2
    assert footprint.base_gib(shape, "nf4") * 2**30 == pytest.approx(linear * 4.127 / 8 + rest * 2 + spelled)
    assert footprint.base_gib(shape, "full") * 2**30 == pytest.approx((linear + rest) * 2)


@pytest.mark.parametrize("how", ["full", "nf4", "int8"])
def test_a_made_model_has_the_size_it_was_said_to_have(how, tiny_qwen2):
    from peft import get_peft_model

    from factory.training.lora import lora_config

    shape = shape_of(Base("t", str(tiny_qwen2), None, "x"))
    model = load_model(str(tiny_qwen2), quantization=how)
    biases = sum(p.numel() for name, p in model.named_parameters() if name.endswith("bias"))
    linear = [m for name, m in model.named_modules() if name.endswith("_proj")]
    # Unquantized on a CPU is fp32, not bf16; small blocks are all but the scales of scales.
    bytes_each = {"full": 4, "nf4": footprint.BITS["nf4"] / 8, "int8": 1}[how]
    held = sum(module.weight.numel() * module.weight.element_size() for module in linear)
    assert held == pytest.approx(shape.linear_parameters * bytes_each, rel=0.05)
    if how == "full":
        assert model.num_parameters() - biases == shape.parameters
        options = LoraOptions(r=5, target_modules=["q_proj", "down_proj"])
        wrapped = get_peft_model(model, lora_config(options))
        assert wrapped.get_nb_trainable_parameters()[0] == footprint.lora_parameters(options, shape)


def test_more_of_anything_takes_more():
    shape = shape_of(CODER)
    study = prepare_profile(Path("none"))
    recipe = study.study.recipe("math")
    small = footprint.of_adapter(recipe, shape)
    for change in ({"max_completion_length": 2048}, {"per_device_train_batch_size": 64}, {"quantization": "full"}):
        assert footprint.of_adapter(recipe.model_copy(update=change), shape).gib > small.gib
    for change in ({"max_steps": 400}, {"num_generations": 16}, {"max_completion_length": 1024}):
        assert footprint.of_adapter(recipe.model_copy(update=change), shape).hours > small.hours
    assert shape_of(Base("b", "somebody/some-model", None, "x")) is None


def prepare_profile(store):
    return prepare(store, STUDY, [], {}, None, dry=True)


def test_the_profile_resolves_without_a_network_or_rows_with_memory_and_hours_for_every_job(tmp_path):
    prepared = prepare_profile(tmp_path)
    result = dry_run_result(prepared, None, ())
    gpu = [job["gpu"] for job in result["jobs"] if job["stage"] in ("adapters", "matrix")]
    assert len(gpu) == 4 + 7 * 7 and all(one["gib"] > 5 and one["hours"] > 0 for one in gpu)
    assert all(job.spec["base"]["quantization"] == "nf4" for job in prepared.plan.jobs if job.stage == "adapters")
    assert all(job.spec["base"]["quantization"] == "full" for job in prepared.plan.jobs if job.stage == "merges")
    text = dry_run_text(prepared, None, ())
    assert "7.62B parameters" in text and "assumed, not measured" in text and "adapter:multitask#0" in text
    json.dumps(result, allow_nan=False)
    assert {"gsm8k", "math", "spider", "mbpp", "hellaswag"} <= set(result["missing"])
    assert "a run needs rows that cannot be had now (gsm8k, " in text
    with pytest.raises(BadInput, match="give an offline mirror"):
        prepare(tmp_path, STUDY, [], {"base": "embedded"}, None)
