"""reasoning-gym's scorers: gold is right, answers that are code do nothing, slow ones are ended, bad names are told."""

import re

import pytest

from factory.core.errors import BadInput, UnknownName, WorkFailed
from factory.sandbox import probe
from factory.tasks import _gym
from factory.tasks._find import find_task
from factory.tasks._task import Source
from factory.tasks.reasoning_gym import NO_GOLD, members
from factory.verifiers import reasoning_gym
from factory.verifiers._gym_door import installed

pytestmark = pytest.mark.skipif(not installed(), reason="reasoning-gym is not installed")
isolated = pytest.mark.skipif(not probe().usable, reason="no usable sandbox here")


def row_of(dataset, seed=11, config="{}"):
    made = reasoning_gym.entry(dataset, config, seed)
    return {"dataset": dataset, "config": config, "seed": seed, "style": "tag", **made}


def said(answer, row):
    return reasoning_gym.verify(f"<answer>{answer}</answer>", row)


# Scorers of every kind: by text, by number, with eval, with parse_expr, by playing a game; and sets in the making.
DATASETS = (
    "chain_sum countdown simple_integration string_insertion binary_matrix n_queens sudoku isomorphic_strings "
    "polynomial_multiplication knights_knaves letter_counting word_ladder"
)


@isolated
@pytest.mark.parametrize("dataset", DATASETS.split())
def test_the_datasets_own_answer_is_right_and_others_are_not(dataset):
    row = row_of(dataset)
    assert said(row["answer"], row).correct, row
    for wrong in ("", "no idea", "-1", row["answer"][:-1] + "?"):
        assert said(wrong, row).correct is False


ATTACKS = [
    "__import__('os')._exit(0)",
    "().__class__.__base__.__subclasses__()",
    "(lambda: 159)()",
    r"sin('\x5f\x5fimport\x5f\x5f(1)')",
    "globals()",
    "open('/etc/passwd').read()",
    "exec('x=1')",
    "[x for x in (1).__class__.__mro__]",
    "f'{1}'",
    "getattr(1, 'real')",
]


@isolated
@pytest.mark.parametrize("dataset", ["countdown", "polynomial_multiplication"])
def test_answers_that_are_code_are_not_run(dataset):
    row = row_of(dataset)
    for attack in ATTACKS:
        verdict = said(attack, row)
        assert (verdict.correct, verdict.reason) == (False, "code in the answer"), attack
    assert said(row["answer"], row).correct


@isolated
def test_a_scorer_that_takes_long_is_ended_and_the_next_answer_is_scored(monkeypatch):
    monkeypatch.setattr(reasoning_gym, "SECONDS", 1.0)
    row = row_of("countdown")
    verdict = said("9**9**9**9", row)
    assert (verdict.correct, verdict.score) == (False, 0.0)
    assert "timed out" in verdict.reason
    assert said(row["answer"], row).correct


@isolated
@pytest.mark.parametrize(
    "text", ["", "<answer></answer>", "<answer>" + "9" * 50_000 + "</answer>", "<answer>\ud800\x00"]
)
def test_odd_text_is_wrong(text):
    assert reasoning_gym.verify(text, row_of("chain_sum")).correct is False


@isolated
def test_a_row_of_another_version_is_refused():
    row = row_of("chain_sum")
    with pytest.raises(BadInput, match="is not what its seed 11 makes"):
        said(row["answer"], {**row, "question": "State the final answer to: 1 + 1 ="})
    with pytest.raises(BadInput, match="has no 'seed'"):
        said("1", {"dataset": "chain_sum", "config": "{}", "question": "x", "answer": "1"})
    with pytest.raises(WorkFailed, match="reasoning_gym:nothing cannot make the row of seed 1"):
        reasoning_gym.entry("nothing", "{}", 1)


@isolated
def test_settings_styles_and_rows():
    task = find_task("reasoning_gym:chain_sum@min_terms=5@max_terms=5@rows=30@boxed")
    sizes = {split: len(task.rows(split, Source())) for split in task.splits}
    assert sizes == {"train": 30, "dev": 3, "test": 6}
    for row in task.rows("test", Source()):
        assert len(re.findall(r"\d+ [-+] ", row.prompt)) == 4
        assert row.gold.startswith(r"\boxed{")
        assert task.verify(row.gold, row).correct


@isolated
def test_a_dataset_with_few_rows_says_how_many():
    name = "reasoning_gym:chain_sum@min_terms=2@max_terms=2@min_digits=1@max_digits=1@rows=1000"
    with pytest.raises(WorkFailed, match=r"reasoning_gym:chain_sum has no more different rows than .*'train': \d+"):
        list(find_task(name).rows("train", Source()))


@pytest.mark.parametrize(
    "name, error, says",
    [
        ("reasoning_gym:chain_sums", UnknownName, "did you mean 'chain_sum'?"),
        ("reasoning_gym:chain_sum@min_term=2", UnknownName, "did you mean 'min_terms'?"),
        ("reasoning_gym:chain_sum@min_terms=two", BadInput, "min_terms='two' is not of the kind of its default, 2"),
        ("reasoning_gym:chain_sum@min_terms=2.5", BadInput, "min_terms='2.5'"),
        ("reasoning_gym:chain_sum@allow_negation=2", BadInput, "allow_negation='2'"),
        ("reasoning_gym:chain_sum@min_terms=9", BadInput, "max_terms must be >= min_terms"),
        ("reasoning_gym:chain_sum@rows=0", BadInput, "rows=0; expected at least 1"),
        ("reasoning_gym:chain_sum@seed=1", UnknownName, "unknown setting"),
        ("reasoning_gym:chain_sum@easy", UnknownName, "unknown option"),
        ("reasoning_gym:rush_hour", BadInput, "has no answers of its own"),
        ("reasoning_gym:composite", UnknownName, "unknown reasoning_gym dataset 'composite'"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(name, error, says):
    with pytest.raises(error, match=re.escape(says)) as told:
        find_task(name)
    assert "\n" not in str(told.value)


def test_the_family_has_its_members_and_no_rows():
    assert len(members()) == 100
    assert not set(NO_GOLD) & set(members())
    with pytest.raises(BadInput, match="name a dataset, such as reasoning_gym:chain_sum; it has 100 of them"):
        find_task("reasoning_gym").rows("train", Source())


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch):
    from factory.verifiers import _gym_door

    monkeypatch.setattr(_gym_door, "installed", lambda: False)
    for ask in (lambda: find_task("reasoning_gym:chain_sum"), lambda: _gym.gym("zebra")):
        with pytest.raises(BadInput, match=re.escape('pip install "lora-factory[puzzles]"')):
            ask()
