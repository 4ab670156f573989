"""Reward functions: hand-computed values, components that do not apply, verifiers that fail."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from factory.core.errors import BadInput, UnknownName, WorkFailed
from factory.core.records import Row, Verdict
from factory.rewards import Pool, Scorer, check_components
from factory.tasks._task import Source, Task
from factory.training.groups import Group
from factory.training.metrics import task_line

ROWS = [Row(str(index), f"prompt {index}", "yes", {}) for index in range(4)]


def task(name: str, verify, components=("format",)) -> Task:
    return Task(name, 1, "", "", "", lambda split, source: ROWS, verify, components)


def says_yes(completion: str, row: Row) -> Verdict:
    return Verdict.of(completion == "yes", format=float("y" in completion), runs=1.0)


def scorer(limit: float = 0.5, **tasks: Task) -> Scorer:
    weights = {"correct": 1.0, "runs": 0.25, "format": 0.125}
    return Scorer({name: Pool(one, ROWS) for name, one in tasks.items()}, weights, limit)


def call(subject: Scorer, completions, tasks):
    verdicts = [subject.verdicts(name, 0, [text])[0] for text, name in zip(completions, tasks, strict=True)]
    return {f.__name__: f(task=tasks, verdict=verdicts, prompts=[], row=[]) for f in subject.functions()}


def test_a_component_that_a_task_does_not_have_is_none_for_its_rows_only():
    subject = scorer(one=task("one", says_yes, ("format", "runs")), two=task("two", says_yes))
    got = call(subject, ["yes", "no", "yes", "nay"], ["one", "one", "two", "two"])
    assert got == {
        "correct": [1.0, 0.0, 1.0, 0.0],
        "runs": [1.0, 1.0, None, None],
        "format": [1.0, 0.0, 1.0, 1.0],
    }


def test_the_line_of_a_task_is_by_hand():
    subject = scorer(one=task("one", says_yes, ("format", "runs")), two=task("two", says_yes))

    def group(name, texts):
        verdicts = subject.verdicts(name, 0, texts)
        rewards = [subject.reward(name, verdict) for verdict in verdicts]
        return Group(name, 0, [1], [[1] * len(text) for text in texts], verdicts, rewards)

    # one: (1 + .25 + .125 + 0 + .25 + 0) / 2; two: 1 + .125 for both, so its only group has no variance.
    line = task_line("one", [group("one", ["yes", "no"])], [], subject, "lenient")
    assert line["reward"] == pytest.approx(0.8125)
    assert (line["zero_variance"], line["kept"], line["informative"]) == (0.0, 0, 1)
    both = [group("two", ["yes", "yes"])]
    assert task_line("two", both, both, subject, "lenient") == {
        "prompts": 1,
        "kept": 1,
        "informative": 0,
        "completions": 2,
        "reward": 1.125,
        "components": {"correct": 1.0, "format": 1.0},
        "zero_variance": 1.0,
        "length": 3.0,
        "unscorable": 0,
    }


def test_equal_texts_of_a_row_are_verified_once():
    seen = []

    def counting(completion, row):
        seen.append(completion)
        return says_yes(completion, row)

    verdicts = scorer(one=task("one", counting)).verdicts("one", 0, ["yes", "no", "yes"])
    assert seen == ["yes", "no"]
    assert [verdict.score for verdict in verdicts] == [1.0, 0.0, 1.0]


def test_unscorable_is_none_and_stops_above_the_limit():
    def broken(completion, row):
        return Verdict.unscorable("the database is gone") if completion == "?" else says_yes(completion, row)

    subject = scorer(0.5, one=task("one", broken))
    got = call(subject, ["yes", "?"], ["one", "one"])
    assert got["correct"] == [1.0, None]
    assert subject.reward("one", Verdict.unscorable("gone")) is None
    with pytest.raises(WorkFailed, match="the database is gone"):
        call(subject, ["?", "?", "?"], ["one", "one", "one"])


def test_weights_that_name_no_component_or_pay_more_for_shape_are_refused():
    tasks = [task("one", says_yes)]
    with pytest.raises(UnknownName, match="did you mean 'format'"):
        check_components({"correct": 1.0, "fromat": 0.1}, tasks, "here")
    with pytest.raises(BadInput, match="outrank"):
        check_components({"correct": 0.1, "format": 0.1}, tasks, "here")
    check_components({"correct": 1.0, "format": 0.1}, tasks, "here")
    for weight in (-1.5, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="outrank"):
            check_components({"correct": 1.0, "format": weight}, tasks, "here")


SHARE = st.floats(0, 1)


@given(weights=st.dictionaries(st.sampled_from(["correct", "score", "format"]), st.floats(-3, 3), min_size=1),
       right=SHARE, wrong=SHARE)  # fmt: skip
@example(weights={"correct": 1.0, "format": -2.0}, right=1.0, wrong=0.0)
def test_under_weights_that_are_accepted_a_wrong_answer_never_outranks_a_right_one(weights, right, wrong):
    subject = task("one", says_yes)
    try:
        check_components(weights, [subject], "here")
    except BadInput:
        return
    paid = Scorer({"one": Pool(subject, [])}, weights, 0.5)
    solved, unsolved = Verdict.of(True, format=right), Verdict.of(False, format=wrong)
    assert paid.reward("one", solved) >= paid.reward("one", unsolved)


def test_the_source_is_not_needed_for_generated_rows():
    assert task("one", says_yes).rows("train", Source()) == ROWS
