"""I_k against the objective computed sequence by sequence, without batches and padding."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from factory.core.records import Verdict
from factory.training.groups import Group
from factory.training.improvement import Improvement


def group(task: str, seed: int, rewards) -> Group:
    generator = torch.Generator().manual_seed(seed)
    prompt = torch.randint(5, 60, (3 + seed,), generator=generator).tolist()
    completions = [
        torch.randint(5, 60, (1 + (seed + n) % 5,), generator=generator).tolist() for n in range(len(rewards))
    ]
    return Group(task, 0, prompt, completions, [Verdict.of(reward == 1) for reward in rewards], rewards)


def log_probability(model, prompt, completion):
    with torch.no_grad():
        logits = model(torch.tensor([prompt + completion])).logits[0].double()
    scores = torch.log_softmax(logits, -1)
    return torch.stack([scores[len(prompt) + place - 1, token] for place, token in enumerate(completion)])


def test_it_is_the_mean_change_of_the_clipped_objective(pico_base):
    model = AutoModelForCausalLM.from_pretrained(pico_base).eval()
    groups = [group("a", 1, [1.0, 0.0, 0.25]), group("b", 2, [0.0, 1.0, 1.0]), group("a", 4, [0.5, 0.5, 1.0])]
    improvement = Improvement(0, (0.2, 0.28), True, at_once=4)
    improvement.before(model, groups)
    old = {id(ids): log_probability(model, g.prompt_ids, ids) for g in groups for ids in g.completion_ids}
    with torch.no_grad():
        for place, weight in enumerate(model.parameters()):
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(place)))
    got = improvement.after(model, groups)

    expected: dict[str, list[float]] = {}
    clipped = 0
    for one in groups:
        rewards = torch.tensor(one.rewards, dtype=torch.float64)
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        for ids, advantage in zip(one.completion_ids, advantages, strict=True):
            ratio = torch.exp(log_probability(model, one.prompt_ids, ids) - old[id(ids)])
            clipped += int(((ratio < 0.8) | (ratio > 1.28)).sum())
            value = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.28) * advantage).mean() - advantage
            expected.setdefault(one.task, []).append(value.item())
    assert clipped > 3  # the step is large enough for the clip to matter
    assert got == pytest.approx({task: sum(v) / len(v) for task, v in expected.items()}, rel=1e-4, abs=1e-5)


def test_no_step_is_no_improvement(pico_base):
    model = AutoModelForCausalLM.from_pretrained(pico_base).eval()
    groups = [group("a", 1, [1.0, 0.0])]
    improvement = Improvement(0, (0.2, 0.2), True, at_once=8)
    improvement.before(model, groups)
    assert improvement.after(model, groups) == pytest.approx({"a": 0.0}, abs=1e-6)


def test_advantages_are_trls():
    """(r - mean) / (std + 1e-4) with the sample's standard deviation; a missing reward has none."""
    one = group("a", 1, [1.0, 0.0, None])
    assert one.advantages() == pytest.approx([0.5 / (0.5**0.5 + 1e-4), -0.5 / (0.5**0.5 + 1e-4), 0.0])
    assert one.advantages(scale=False) == [0.5, -0.5, 0.0]
