"""Reward functions: hand-computed values, components that do not apply, verifiers that fail."""

import pytest

from factory.core.errors import BadInput, UnknownName, WorkFailed
from factory.core.records import Row, Verdict
from factory.rewards import Pool, Scorer, check_components
from factory.tasks._task import Source, Task

ROWS = [Row(str(index), f"prompt {index}", "yes", {}) for index in range(4)]


def task(name: str, verify, components=("format",)) -> Task:
    return Task(name, 1, "", "", "", lambda split, source: ROWS, verify, components)


def says_yes(completion: str, row: Row) -> Verdict:
    return Verdict.of(completion == "yes", format=float("y" in completion), runs=1.0)


def scorer(limit: float = 0.5, **tasks: Task) -> Scorer:
    weights = {"correct": 1.0, "runs": 0.25, "format": 0.125}
    return Scorer({name: Pool(one, ROWS) for name, one in tasks.items()}, weights, 2, limit)


def call(subject: Scorer, completions, tasks):
    ids = [[1] * len(text) for text in completions]
    return {
        f.__name__: f(completions=completions, completion_ids=ids, task=tasks, row=[0] * len(tasks))
        for f in subject.functions()
    }


def test_a_component_that_a_task_does_not_have_is_none_for_its_rows_only():
    subject = scorer(one=task("one", says_yes, ("format", "runs")), two=task("two", says_yes))
    got = call(subject, ["yes", "no", "yes", "nay"], ["one", "one", "two", "two"])
    assert got == {
        "correct": [1.0, 0.0, 1.0, 0.0],
        "runs": [1.0, 1.0, None, None],
        "format": [1.0, 0.0, 1.0, 1.0],
    }


def test_the_statistics_are_per_task_and_by_hand():
    subject = scorer(one=task("one", says_yes, ("format", "runs")), two=task("two", says_yes))
    call(subject, ["yes", "no", "yes", "yes"], ["one", "one", "two", "two"])
    stats = subject.take()
    # one: (1 + .25 + .125 + 0 + .25 + 0) / 2; two: 1 + .125 for both, so its only group has no variance.
    assert stats["one"]["reward"] == pytest.approx(0.8125)
    assert stats["one"]["zero_variance"] == 0.0
    assert stats["two"] == {
        "prompts": 1,
        "completions": 2,
        "reward": 1.125,
        "components": {"correct": 1.0, "format": 1.0},
        "zero_variance": 1.0,
        "length": 3.0,
        "unscorable": 0,
    }
    assert subject.take() == {}


def test_each_completion_is_verified_once_for_all_components():
    seen = []

    def counting(completion, row):
        seen.append(completion)
        return says_yes(completion, row)

    call(scorer(one=task("one", counting)), ["yes", "no"], ["one", "one"])
    assert seen == ["yes", "no"]


def test_conversational_completions_are_read():
    subject = scorer(one=task("one", says_yes))
    completions = [[{"role": "assistant", "content": "yes"}]]
    assert subject.functions()[0](completions=completions, completion_ids=[[1]], task=["one"], row=[0]) == [1.0]


def test_unscorable_is_none_and_counted_and_stops_above_the_limit():
    def broken(completion, row):
        return Verdict.unscorable("the database is gone") if completion == "?" else says_yes(completion, row)

    subject = scorer(0.5, one=task("one", broken))
    got = call(subject, ["?", "yes"], ["one", "one"])
    assert got["correct"] == [None, 1.0]
    assert subject.take()["one"]["unscorable"] == 1
    with pytest.raises(WorkFailed, match="the database is gone"):
        call(subject, ["?", "?", "?"], ["one", "one", "one"])


def test_weights_that_name_no_component_or_pay_more_for_shape_are_refused():
    tasks = [task("one", says_yes)]
    with pytest.raises(UnknownName, match="did you mean 'format'"):
        check_components({"correct": 1.0, "fromat": 0.1}, tasks, "here")
    with pytest.raises(BadInput, match="outrank"):
        check_components({"correct": 0.1, "format": 0.1}, tasks, "here")
    check_components({"correct": 1.0, "format": 0.1}, tasks, "here")


def test_the_source_is_not_needed_for_generated_rows():
    assert task("one", says_yes).rows("train", Source()) == ROWS
