"""Every strategy that exists: shares sum to 1, plans are deterministic, training resumes exactly."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.core.discover import load, names
from factory.core.recipes import AdapterRecipe

PACKAGE = "factory.training.strategies"
ALL = names(PACKAGE)


def tasks_for(name: str) -> list[str]:
    return ["a"] if name == "single" else ["a", "b", "c"]


@pytest.mark.parametrize("name", ALL)
def test_shares_sum_to_one(name):
    shares = load(PACKAGE, name, kind="strategy").shares(tasks_for(name), None)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 20), prompts=st.integers(1, 9))
def test_the_plan_is_deterministic_and_keeps_the_shares(name, seed, steps, prompts):
    strategy = load(PACKAGE, name, kind="strategy")
    shares = strategy.shares(tasks_for(name), None)
    sizes = dict.fromkeys(shares, 7)
    plan = strategy.plan(sizes, shares, steps, prompts, Random(seed))
    assert plan == strategy.plan(sizes, shares, steps, prompts, Random(seed))
    assert len(plan) == steps * prompts
    counts = Counter(task for task, _ in plan)
    for task, share in shares.items():
        assert abs(counts[task] - share * len(plan)) <= 1
        rows = [row for name, row in plan if name == task]
        # All rows before any comes again.
        assert all(sorted(rows[i : i + 7]) == list(range(7)) for i in range(0, len(rows) - 6, 7))


def test_weighted_shares_and_their_mistakes():
    from factory.core.errors import BadInput, UnknownName

    joint = load(PACKAGE, "joint", kind="strategy")
    assert joint.shares(["a", "b"], {"a": 3.0, "b": 1.0}) == {"a": 0.75, "b": 0.25}
    with pytest.raises(UnknownName, match="did you mean 'alpha'"):
        joint.shares(["alpha", "b"], {"alpah": 1.0, "b": 1.0})
    with pytest.raises(BadInput, match="no weight for b"):
        joint.shares(["a", "b"], {"a": 1.0})
    with pytest.raises(BadInput, match="use 'joint'"):
        load(PACKAGE, "single", kind="strategy").shares(["a", "b"], None)


@pytest.mark.parametrize("name", ALL)
def test_two_steps_and_an_exact_resume(name, pico_base, tmp_path):
    """A run cut off after its checkpoint ends with the bits of one that was not."""
    from factory.core.progress import silent
    from factory.store.ref import Ref
    from factory.store.store import Store
    from factory.training.train import build_adapter

    tasks = ["tiny_math"] if name == "single" else ["tiny_math", "tiny_sql"]
    recipe = AdapterRecipe(
        tasks=tasks,
        strategy=name,
        max_steps=4,
        save_steps=2,
        prompts_per_step=2,
        num_generations=4,
        learning_rate=1e-2,
        max_completion_length=16,
        lora={"r": 2, "lora_alpha": 4},
        rewards={"correct": 1.0, "format": 0.5},
    )
    base = {"label": "pico", "path": str(pico_base), "revision": None, "hash": "pico"}
    spec = {"recipe": recipe.model_dump(), "seed": 0, "base": base, "data": None}
    ref = Ref("pico", "adapter", "x", 0, "0" * 16)

    class CutOff(Exception):
        pass

    def cut(text, done=None):
        if text.startswith("step 3/"):
            raise CutOff

    whole, resumed = Store(tmp_path / "whole"), Store(tmp_path / "resumed")
    build_adapter(whole, ref, spec, silent)
    with pytest.raises(CutOff):
        build_adapter(resumed, ref, spec, cut)
    assert not resumed.has(ref)
    assert [p.name for p in (resumed.work(ref) / "checkpoints").glob("checkpoint-*")] == ["checkpoint-2"]
    build_adapter(resumed, ref, spec, silent)
    weights = "adapter_model.safetensors"
    assert (whole.path(ref) / weights).read_bytes() == (resumed.path(ref) / weights).read_bytes()
    lines = (resumed.path(ref) / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 4
    assert list(whole.card(ref)["metrics"]) == ["first", "last"]
    assert whole.card(ref)["metrics"] == resumed.card(ref)["metrics"]
