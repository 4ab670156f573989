"""When training ends early: the reasons, in words; and what never stops it."""

import pytest

from factory.core.errors import BadInput, WorkFailed
from factory.core.recipes import Stop
from factory.training.stop import stop_reason


def lines(rewards, informative=4, correct=0.1, tasks=("a",)):
    return [
        {
            "strategy": {"informative": informative},
            "tasks": {
                task: {"reward": one, "components": {"correct": correct}, "prompts": 4, "informative": informative}
                for task in tasks
            },
        }
        for one in rewards
    ]


def test_steps_without_signal_stop_with_what_the_tasks_are():
    stop = Stop(no_signal_steps=5)
    once = lines([0.1])
    assert stop_reason(once + lines([0.1] * 4, informative=0), stop) is None
    reason = stop_reason(once + lines([0.1] * 5, informative=0), stop)
    assert "in the last 5 steps" in reason and "a is too hard" in reason and "stop.no_signal_steps = 5" in reason
    assert "a is solved (100% correct)" in stop_reason(once + lines([1.0] * 5, informative=0, correct=1.0), stop)
    broken = lines([0.1] * 3, informative=0) + once + lines([0.1] * 4, informative=0)
    assert stop_reason(broken, stop) is None
    assert stop_reason(lines([0.1] * 500, informative=0), Stop(no_signal_steps=None)) is None


def with_dead(steps, correct, drawn=1):
    """Task `a` learns; task `b`, in every `drawn`th step, never has an informative group."""
    both = lines([0.5] * steps, tasks=("a", "b"))
    for place, line in enumerate(both):
        line["tasks"]["b"] |= {"informative": 0, "components": {"correct": correct}}
        if place % drawn:
            del line["tasks"]["b"]
    return both


def test_a_task_that_never_teaches_is_refused_by_name_with_a_remedy():
    stop = Stop(no_signal_steps=5)
    assert stop_reason(with_dead(4, 0.0), stop) is None
    with pytest.raises(BadInput, match=r"task b: none of its 20 groups in 5 steps .* no completion .* easier level"):
        stop_reason(with_dead(5, 0.0), stop)
    with pytest.raises(BadInput, match="100% of its completions are correct; leave the task out"):
        stop_reason(with_dead(5, 1.0), stop)
    assert stop_reason(with_dead(9, 0.0, drawn=2)[:-1], stop) is None  # four of its own steps only
    with pytest.raises(BadInput, match=r"set stop\.no_signal_steps to null"):
        stop_reason(with_dead(9, 0.0, drawn=2), stop)
    assert stop_reason(with_dead(99, 0.0), Stop(no_signal_steps=None)) is None


def test_a_collapse_names_the_task_that_lost_most():
    good, bad = lines([0.8] * 20, tasks=("a", "b")), lines([0.05] * 10, tasks=("a", "b"))
    for line in bad:
        line["tasks"]["a"]["reward"] = 0.2
    assert "most of it in b, from 0.800 to 0.050" in stop_reason(good + bad, Stop(collapse=0.2))


def test_a_collapse_is_told_from_a_plateau_and_from_a_slow_start():
    stop = Stop(collapse=0.2)
    assert stop_reason(lines([0.0] * 30 + [0.8] * 30), stop) is None
    assert stop_reason(lines([0.8] * 30 + [0.5] * 30), stop) is None
    reason = stop_reason(lines([0.8] * 20 + [0.0] * 10), stop)
    assert "0.000 over the last 10 steps, 0.800 at its best" in reason
    assert stop_reason(lines([0.8] * 20 + [0.0] * 10), Stop(collapse=None)) is None
    assert stop_reason(lines([0.04] * 20 + [0.0] * 20), stop) is None  # there was nothing to lose


@pytest.mark.parametrize("count", [0, 1, 19])
def test_short_runs_are_not_judged(count):
    assert stop_reason(lines([0.5] * count), Stop()) is None


@pytest.mark.parametrize(("name", "value"), [("loss", float("inf")), ("grad_norm", float("nan"))])
def test_numbers_that_are_none_end_the_training_at_once(name, value):
    (line,) = lines([0.5])
    with pytest.raises(WorkFailed, match=f"diverged: {name} is {value} at step 7; take a lower learning_rate"):
        stop_reason([{**line, "step": 7, name: value}], Stop())
    assert stop_reason([{**line, "step": 7, name: None}], Stop()) is None
