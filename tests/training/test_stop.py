"""When training ends early: the reasons, in words; and what never stops it."""

import pytest

from factory.core.recipes import Stop
from factory.training.stop import stop_reason


def lines(rewards, informative=4, correct=0.1):
    return [
        {"strategy": {"informative": informative}, "tasks": {"a": {"reward": one, "components": {"correct": correct}}}}
        for one in rewards
    ]


def test_steps_without_signal_stop_with_what_the_reward_says():
    stop = Stop(no_signal_steps=5)
    assert stop_reason(lines([0.1] * 4, informative=0), stop) is None
    assert "too hard" in stop_reason(lines([0.1] * 5, informative=0), stop)
    assert "are solved" in stop_reason(lines([1.0] * 5, informative=0, correct=1.0), stop)
    broken = lines([0.1] * 3, informative=0) + lines([0.1]) + lines([0.1] * 4, informative=0)
    assert stop_reason(broken, stop) is None
    assert stop_reason(lines([0.1] * 500, informative=0), Stop(no_signal_steps=None)) is None


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
