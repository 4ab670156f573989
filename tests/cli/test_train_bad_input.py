"""`factory train` on mistakes: one clear line and exit code 2, at planning, before the first step, or soon after."""

import json

import pytest

CAPITALS = """---
summary: capitals
licence: CC0-1.0
prompt: What is the capital of {country}?
answer: capital
verifier: exact
---
"""
ROWS = [{"country": f"Country {n}", "capital": f"Xanadu {n}"} for n in range(40)]
RECIPE = """
tasks: [coin, %s]
strategy: joint
rewards: {correct: 1.0}
lora: {r: 2, lora_alpha: 4}
max_steps: 40
prompts_per_step: 4
num_generations: 4
max_completion_length: 16
stop: {no_signal_steps: 3}
"""
COIN = """
from factory.core.records import Row, Verdict
from factory.tasks._task import Task

ROWS = [Row(str(n), f"Flip {n}.", "heads!", {}) for n in range(20)]
VERIFY = lambda text, row: Verdict.of(bool(text) and len(text) % 2 == 0)
TASK = Task("coin", 1, "", "CC0-1.0", "", lambda split, source: ROWS, VERIFY)
"""
REJECTING = """
from factory.core.records import Row, Verdict
from factory.tasks._task import Task

ROWS = [Row(str(n), "Say yes.", "yes", {}) for n in range(20)]
TASK = Task("picky", 1, "", "CC0-1.0", "", lambda split, source: ROWS, lambda text, row: Verdict.of(False, "too picky"))
"""


@pytest.fixture
def factory(factory, tmp_path):
    """The command line in a folder that has a task of its own."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "coin.py").write_text(COIN)
    factory.folder = tmp_path
    return factory


def jsonl(factory, rows=ROWS):
    text = CAPITALS + "".join(json.dumps(row) + "\n" for row in rows)
    (factory.folder / "tasks" / "capitals.jsonl").write_text(text)


def recipe(factory, task):
    path = factory.folder / "mine.yaml"
    path.write_text(RECIPE % task)
    return path


PLANNED = {
    "weights for an unknown task": (["task_weights={tiny_mth: 1, tiny_sql: 1}"], "did you mean 'tiny_math'?"),
    "a task without a weight": (["task_weights={tiny_math: 1}"], "no weight for tiny_sql, tiny_python"),
    "an unknown option": (["strategy=mt_grpo", "strategy_options.lamda=1"], "did you mean 'lambda'?"),
    "an option of another strategy": (["strategy_options.lambda=1"], "unknown key 'lambda'"),
    "a batch that does not divide": (
        ["num_generations=7", "per_device_train_batch_size=8"],
        "8 does not divide the 84 completions of a step",
    ),
    "a group of one": (["num_generations=1"], "num_generations"),
    "weights where the strategy sets them": (
        ["strategy=sec", "task_weights={tiny_math: 1, tiny_sql: 1, tiny_python: 1}"],
        "sets the task weights itself",
    ),
}


@pytest.mark.parametrize("name", PLANNED)
def test_a_mistake_is_told_at_planning(factory, name):
    settings, expected = PLANNED[name]
    code, out, err = factory("train", "multitask", *(part for one in settings for part in ("--set", one)))
    assert expected in err
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
    assert not (factory.folder / "store").exists()


def test_a_column_that_is_not_there_is_named_with_its_line(factory, pico_base):
    jsonl(factory, [*ROWS[:3], {"country": "Atlantis", "town": "Poseidonis"}])
    code, _, err = factory("train", recipe(factory, "capitals"), "--base", pico_base, "--jobs", 1)
    assert code == 2
    assert "capitals.jsonl" in err and "'capital'" in err and "line 11" in err


def test_a_task_that_never_teaches_ends_the_training_soon_and_is_named(factory, pico_base):
    """The base cannot know made-up capitals: forty steps are asked for, three are done."""
    jsonl(factory)
    code, out, err = factory("train", recipe(factory, "capitals"), "--base", pico_base, "--jobs", 1)
    last = err.strip().splitlines()[-1]
    assert (code, out) == (2, "")
    assert "task capitals: none of its" in last and "in 3 steps" in last and "easier level" in last
    assert not list(factory.folder.glob("store/*/adapters/*"))


def test_a_verifier_that_rejects_its_own_golds_is_told_before_the_first_step(factory, pico_base):
    (factory.folder / "tasks" / "picky.py").write_text(REJECTING)
    code, _, err = factory("train", recipe(factory, "picky"), "--base", pico_base, "--jobs", 1)
    assert code == 2
    assert "task picky: its verifier rejects the gold answers of its first 8 training rows (too picky)" in err
    assert not list(factory.folder.glob("store/.work/*/state/metrics.jsonl"))
