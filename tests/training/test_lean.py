"""A step that computes less comes to the same: packed rows, rows without advantage, merged weights."""

import inspect

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from factory.models.groups import sample_groups
from factory.models.merged import merged
from factory.training.lean import lean, teaching
from factory.training.packing import TESTED, is_cheaper, pack, packs

LONGEST = 7
SHAPE = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "initializer_range": 0.4,
}  # fmt: skip
MODELS = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}


def model_of(kind="llama", **options):
    torch.manual_seed(0)
    config, model = MODELS[kind]
    if kind == "qwen3":
        options["head_dim"] = 8
    return model(config(**SHAPE, **options))


def batch(seed=0):
    """Two groups of three in mixed order; one prompt is shorter, completions have 1 to 7 tokens."""
    random = torch.Generator().manual_seed(seed)
    prompts = torch.randint(1, 50, (2, 5), generator=random).repeat_interleave(3, 0)
    prompt_mask = torch.ones_like(prompts)
    prompt_mask[:3, :2] = 0
    completions = torch.randint(1, 50, (6, LONGEST), generator=random)
    mask = (torch.arange(LONGEST) < torch.tensor([7, 3, 1, 2, 5, 6])[:, None]).long()
    order = torch.randperm(6, generator=random)
    return prompts[order], prompt_mask[order], completions[order], mask[order]


def separate(model, prompts, prompt_mask, completions, mask):
    """Log-probabilities of completion tokens, each row by itself and without padding: what is to be had."""
    found = torch.zeros(mask.shape)
    for row in range(len(mask)):
        prompt, own = prompts[row][prompt_mask[row].bool()], completions[row][mask[row].bool()]
        logits = model(torch.cat([prompt, own])[None]).logits[0, len(prompt) - 1 : -1]
        found[row, : len(own)] = logits.log_softmax(-1).gather(-1, own[:, None])[:, 0]
    return found


def in_packs(model, *rows):
    packed = pack(*rows)
    logits = model(
        input_ids=packed.input_ids, attention_mask=packed.attention_mask, position_ids=packed.position_ids
    ).logits
    labels = packed.shift_labels.clamp(min=0)[..., None]
    chosen = logits.log_softmax(-1).gather(-1, labels)[..., 0].flatten()
    return chosen[packed.place] * rows[3]


@pytest.mark.parametrize("kind", sorted(TESTED))
def test_packed_rows_have_the_log_probabilities_and_gradients_of_separate_ones(kind):
    assert set(MODELS) == TESTED
    model, rows = model_of(kind), batch()
    assert packs(model)
    wanted, found = separate(model, *rows), in_packs(model, *rows)
    assert wanted[rows[3].bool()].std() > 0.5  # the model tells tokens apart, so that a mistake would show
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-4)
    weights = list(model.parameters())
    gradients = [torch.autograd.grad((one * rows[3]).square().sum(), weights) for one in (wanted, found)]
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(two, one, atol=1e-4 * float(one.abs().max()) + 1e-7, rtol=1e-3)


def test_a_completion_does_not_see_its_neighbours():
    model, (prompts, prompt_mask, completions, mask) = model_of(), batch()
    before = in_packs(model, prompts, prompt_mask, completions, mask)
    other = completions.clone()
    other[2] = (other[2] + 7) % 50
    after = in_packs(model, prompts, prompt_mask, other, mask)
    rest = [row for row in range(6) if row != 2]
    torch.testing.assert_close(after[rest], before[rest], atol=1e-6, rtol=0)
    assert (after[2] - before[2]).abs().max() > 0.1


def test_each_prompt_is_there_once_and_each_completion_token_once():
    rows = batch()
    packed = pack(*rows)
    assert packed.input_ids.shape[0] == 2
    assert int((packed.shift_labels >= 0).sum()) == int(rows[3].sum())
    places = packed.place[rows[3].bool()]
    assert len(places.unique()) == len(places)
    assert torch.equal(packed.shift_labels.flatten()[places], rows[2][rows[3].bool()])


def test_a_model_that_looks_at_a_window_or_by_another_kernel_is_not_packed():
    assert not packs(model_of("qwen2", use_sliding_window=True, sliding_window=4, max_window_layers=0))
    assert not packs(model_of("llama", attn_implementation="eager"))


def test_long_completions_are_not_packed_when_attention_would_cost_more():
    model = model_of()
    short = pack(*batch())
    assert is_cheaper(model, short, 6, 12)
    count = 4096
    mask = torch.ones(2, count, dtype=torch.long)
    long = pack(torch.ones(2, 2, dtype=torch.long), torch.ones(2, 2, dtype=torch.long), mask, mask)
    assert not is_cheaper(model, long, 2, count + 2)


def test_rows_without_advantage_are_left_out_with_the_padding_only_they_need():
    prompts, prompt_mask, completions, mask = batch()
    advantages = torch.where(mask.sum(-1) > 5, 0.0, 1.0)
    inputs = {
        "prompt_ids": prompts, "prompt_mask": prompt_mask, "completion_ids": completions, "completion_mask": mask,
        "advantages": advantages, "tool_mask": mask, "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    part = teaching(inputs)
    keep = advantages != 0
    assert part["completion_ids"].tolist() == completions[keep][:, :5].tolist()
    assert part["tool_mask"].shape == part["completion_mask"].shape == (4, 5)
    assert part["num_items_in_batch"] == mask.sum()
    assert len(teaching({**inputs, "advantages": torch.zeros(6)})["advantages"]) == 1
    more = teaching(inputs, 5)["advantages"]
    assert len(more) == 5
    assert int((more != 0).sum()) == int(keep.sum())
    assert teaching({**inputs, "advantages": torch.ones(6)})["completion_ids"] is completions


def test_trl_still_has_the_methods_that_are_overridden():
    from trl import GRPOTrainer

    def names(function):
        return [name for name in inspect.signature(function).parameters if name not in ("args", "kwargs")]

    own = lean(GRPOTrainer)
    assert names(own.compute_loss) == names(GRPOTrainer.compute_loss)
    theirs = names(GRPOTrainer._get_per_token_logps_and_entropies)
    assert names(own._get_per_token_logps_and_entropies) == theirs[:5]
    assert {"compute_entropy", "batch_size", "compute_aux_loss"} <= set(theirs)


def lora(model, **options):
    from peft import LoraConfig, get_peft_model

    wrapped = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", r=2, **options))
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter.data, std=0.2)
    return wrapped.eval()


def test_merged_weights_say_the_same_and_come_back_bit_by_bit():
    model = lora(model_of())
    ids = torch.randint(1, 50, (2, 6))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = model(ids).logits
    with model.disable_adapter():
        base = model(ids).logits
    with merged(model):
        inside = model(ids).logits
    torch.testing.assert_close(inside, plain, atol=1e-4, rtol=1e-4)
    assert (inside - base).abs().max() > 0.1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(ids).logits, plain)


def test_weights_come_back_after_a_failure_and_what_cannot_be_merged_is_left():
    model = lora(model_of())
    weight = model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
    before = weight.clone()
    with pytest.raises(KeyboardInterrupt), merged(model):
        assert not torch.equal(weight, before)
        raise KeyboardInterrupt
    assert torch.equal(weight, before)
    for other in (lora(model_of(), use_dora=True), lora(model_of().bfloat16())):
        weight = other.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
        with merged(other):
            assert not other.get_base_model().model.layers[0].mlp.up_proj.merged
        assert torch.isfinite(weight).all()


def test_groups_that_are_sampled_merged_are_those_that_are_sampled_by_the_adapter():
    model = lora(model_of())
    found = []
    for block in (merged(model), torch.no_grad()):
        torch.manual_seed(1)
        with block:
            found.append(
                sample_groups(
                    model, [[1, 2, 3], [4, 5]], group=4, max_new_tokens=8, end_ids=[0], pad_id=0, temperature=0.7
                )
            )
    assert found[0] == found[1]
