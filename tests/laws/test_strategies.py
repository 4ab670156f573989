"""Every strategy that exists: shares sum to 1, steps are deterministic, training resumes exactly."""

import json

import numpy as np
import pytest

from factory.core.discover import load, names
from factory.core.errors import BadInput, UnknownName
from factory.core.recipes import AdapterRecipe
from factory.core.records import Row, Verdict
from factory.training.groups import Group
from factory.training.queues import Queues
from factory.training.strategy import given_shares
from factory.training.weighting import Seen

PACKAGE = "factory.training.strategies"
ALL = names(PACKAGE)
SIZES = {"a": {1: 5, 2: 3, 3: 2}, "b": {None: 7}, "c": {None: 20}}


def recipe_of(name: str, tasks=("a", "b", "c"), **options) -> AdapterRecipe:
    tasks = list(tasks)[:1] if name == "single" else list(tasks)
    if name == "distil":
        teachers = {"teachers": {task: f"of-{task}" for task in tasks}}
        options["strategy_options"] = {**teachers, **options.get("strategy_options", {})}
    return AdapterRecipe(tasks=tasks, strategy=name, max_steps=6, **options)


def built(name: str, **options):
    return load(PACKAGE, name, kind="strategy").build(recipe_of(name, **options), SIZES)


def group_of(task: str, row: int, rewards) -> Group:
    verdicts = [Verdict.of(reward >= 1) for reward in rewards]
    return Group(task, row, [1, 2], [[3] for _ in rewards], verdicts, list(rewards))


def simulated(strategy, steps, size=4, state=None, begin=0):
    """The tasks, rows and shares of the steps, with rewards that differ by task and row; then the state."""
    queues = Queues({task: rows_of(levels) for task, levels in SIZES.items()}, seed=3)
    if state is not None:
        strategy.restore(json.loads(json.dumps(state["strategy"])))
        queues.restore(json.loads(json.dumps(state["queues"])))
    done = []
    for step in range(begin, steps):

        def draw(counts, within):
            rows = [(task, row) for task, n in counts.items() for row in queues.draw(task, n, within.get(task))]
            return [group_of(task, row, [1.0, 1.0 if row % 3 == 0 else 0.1]) for task, row in rows]

        selected, shares = strategy.fill(step, size, draw, np.random.default_rng(step))
        done.append(([(group.task, group.row) for group in selected.groups], shares))
        strategy.observe(
            {
                task: Seen(
                    reward=0.2 * place,
                    accuracy=0.1 * place,
                    improvement=0.01 * place,
                    sequences=4,
                    advantage=0.5 * place,
                )
                for place, task in enumerate(shares)
            }
        )
    return done, {"strategy": strategy.state(), "queues": queues.state()}


def rows_of(levels):
    return [Row(f"{level}-{n}", "", "", {}, level) for level, count in levels.items() for n in range(count)]


@pytest.mark.parametrize("name", ALL)
def test_shares_sum_to_one_at_every_step(name):
    done, _ = simulated(built(name), 6)
    assert len(done) == 6
    for groups, shares in done:
        assert sum(shares.values()) == pytest.approx(1, abs=1e-12)
        assert all(share >= 0 for share in shares.values())
        assert len(groups) <= 4
        assert {task for task, _ in groups} <= set(shares)


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_steps_and_a_state_goes_on_exactly(name):
    whole, end = simulated(built(name), 6)
    assert simulated(built(name), 6) == (whole, end)
    first, state = simulated(built(name), 3)
    rest, again = simulated(built(name), 6, state=state, begin=3)
    assert first + rest == whole
    assert again == end


@pytest.mark.parametrize("name", [name for name in ALL if name != "single"])
def test_options_it_does_not_have_are_named(name):
    with pytest.raises(BadInput, match="lamda"):
        built(name, strategy_options={"lamda": 1})


def test_weighted_shares_and_their_mistakes():
    assert built("joint", task_weights={"a": 2.0, "b": 1.0, "c": 1.0}).weights.shares() == {
        "a": 0.5,
        "b": 0.25,
        "c": 0.25,
    }
    with pytest.raises(UnknownName, match="did you mean 'alpha'"):
        given_shares(["alpha", "b"], {"alpah": 1.0, "b": 1.0})
    with pytest.raises(BadInput, match="no weight for b"):
        built("joint", task_weights={"a": 1.0, "c": 1.0})
    with pytest.raises(BadInput, match="use 'joint'"):
        load(PACKAGE, "single", kind="strategy").build(AdapterRecipe(tasks=["a", "b"]), SIZES)
    with pytest.raises(BadInput, match="sets the task weights itself"):
        built("mt_grpo", task_weights={"a": 1.0, "b": 1.0, "c": 1.0})
    with pytest.raises(BadInput, match="differ in difficulty"):
        load(PACKAGE, "curriculum", kind="strategy").build(recipe_of("curriculum", ["b", "c"]), SIZES)


def test_proportional_to_rows_or_to_a_power_of_them():
    assert built("proportional").weights.shares() == pytest.approx({"a": 10 / 37, "b": 7 / 37, "c": 20 / 37})
    assert built("proportional", strategy_options={"power": 0}).weights.shares()["a"] == pytest.approx(1 / 3)


ANYTHING = """
from dataclasses import replace
from factory.core.records import Verdict
from factory.tasks.tiny_math import TASK as MATH

def verify(text, row):
    return Verdict.of(bool(text.strip()), "said something", format=1.0)

TASK = replace(MATH, name="anything", verify=verify)
"""


def teacher_on(pico_base, folder):
    """An adapter on the pico base that is not the base."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(pico_base), config).save_pretrained(folder)
    return {"path": str(folder), "key": "t"}


@pytest.mark.parametrize("name", ALL)
def test_two_steps_and_an_exact_resume(name, pico_base, tmp_path):
    """A run cut off after its checkpoint ends with the bits of one that was not."""
    from factory.core.discover import set_user_root
    from factory.core.progress import silent
    from factory.store.ref import Ref
    from factory.store.store import Store
    from factory.training.train import build_adapter

    if name == "curriculum":
        pytest.skip("the embedded tasks have no difficulties yet")
    tasks = ["tiny_math"] if name == "single" else ["tiny_math", "tiny_sql"]
    own, teachers = {}, {}
    if name == "rejection":  # the pico base solves nothing
        (tmp_path / "tasks").mkdir()
        (tmp_path / "tasks" / "anything.py").write_text(ANYTHING)
        set_user_root(tmp_path)
        tasks, own = ["anything"], {"strategy_options": {"prompts": 3, "keep": 2}}
    if name == "distil":
        teachers = {"t": teacher_on(pico_base, tmp_path / "t")}
        own = {"strategy_options": {"teachers": dict.fromkeys(tasks, "t")}}
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
        **own,
    )
    base = {"label": "pico", "path": str(pico_base), "revision": None, "hash": "pico"}
    spec = {"recipe": recipe.model_dump(), "seed": 0, "base": base, "data": None, "teachers": teachers}
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
