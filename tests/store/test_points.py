"""An adapter at a step of its training: found to be scored, refused where the whole is meant."""

import pytest

from factory.core.atomic import write_json
from factory.core.errors import BadInput
from factory.engine.single import plan_cells, subjects_of
from factory.store.find import find, find_any
from factory.store.points import kept_steps, place
from factory.store.ref import Ref
from factory.store.store import Store

BASE = Ref("tiny-s0", "base", "embedded", 0, "a" * 16)
MATH = Ref("tiny-s0", "adapter", "math", 0, "b" * 16)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.build(BASE, lambda out, state: {"parents": []})

    def make(out, state):
        for step in (10, 20):
            write_json(place(out, step) / "adapter_config.json", {})
        return {"base": {"label": BASE.base, "hash": BASE.key}, "steps": 30, "trained_tasks": ["tiny_math"]}

    store.build(MATH, make)
    return store


def cells(store, *names):
    return plan_cells(store.root, names, ["tiny_math"], None, {}, 0, None)


def test_a_step_is_a_variant_of_its_own_to_be_scored(store):
    found = cells(store, "adapter:math@20", "math")
    step, whole = found.plan.jobs
    assert step.spec["variant"] == "adapter:math@20" and step.spec["step"] == 20
    assert whole.spec["variant"] == "adapter:math" and whole.spec["step"] is None
    assert step.ref.key != whole.ref.key
    assert kept_steps(store.path(MATH)) == [10, 20]
    assert subjects_of(store.root, ["math@10"], None, 0)["math@10"]["adapter"].endswith("checkpoints/step-10")


def test_a_step_it_was_not_kept_at_is_said_before_any_work(store):
    with pytest.raises(BadInput, match="not kept at step 15 of 30; it was kept at 10, 20"):
        cells(store, "adapter:math@15")


def test_what_is_about_the_whole_adapter_takes_no_step(store):
    for look in (find, find_any):
        with pytest.raises(BadInput, match=r"can only be scored or asked .*; the finished one is 'adapter:math#0'"):
            look(store, "adapter:math@20#0")
    assert find_any(store, f"{MATH.title}@{MATH.key}") == MATH
