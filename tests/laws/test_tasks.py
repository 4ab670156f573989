"""Every task that exists: gold is right, nothing else is, rows are the same everywhere, splits share nothing."""

import os
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.core.discover import names
from factory.core.hashing import key_of
from factory.tasks import _laws
from factory.tasks._find import find_task
from factory.tasks._hostile import HOSTILE, WRAPS
from factory.tasks._subject import Subject, rows_elsewhere
from factory.tasks._task import Source

ALL = names("factory.tasks")
DATA = os.environ.get("FACTORY_DATA")
SOURCE = Source(Path(DATA) if DATA else None)
# The level and the rows of each split that the laws look at, where all would take minutes to draw.
TRIED = {
    "zebra": ("zebra@easy", 60),
    "reasoning_gym": ("reasoning_gym:chain_sum", 60),
    **{
        name: (name, 300)
        for name in ("countdown", "mtgrpo_countdown", "arc_1d", "novel_ops", "nested_ops", "linear_equations")
    },
}


@cache
def subject_of(name):
    full_name, most = TRIED.get(name, (name, None))
    if not find_task(full_name).generated and DATA is None:
        pytest.skip(f"task {name} reads files and FACTORY_DATA is not set")
    return Subject.of(full_name, SOURCE, most)


# Two laws have tests of their own below: one a test for each text, the other one more process for all tasks.
@pytest.mark.parametrize("law", [name for name in _laws.LAWS if name not in ("hostile", "same_rows")])
@pytest.mark.parametrize("name", ALL)
def test_the_law_holds(name, law):
    assert _laws.LAWS[law](subject_of(name)) == ""


@pytest.mark.parametrize("shape", HOSTILE)
@pytest.mark.parametrize("name", ALL)
def test_hostile_text_scores_zero_soon_and_raises_nothing(name, shape):
    assert _laws.hostile_text(subject_of(name), HOSTILE[shape]) == ""


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=200), wrap=st.sampled_from(WRAPS))
def test_any_text_gets_a_verdict(name, text, wrap):
    subject = subject_of(name)
    assert _laws.no_verdict(subject.task.verify(wrap.replace("{}", text, 1), subject.held_out[0])) == ""


def test_two_processes_have_the_same_rows():
    asked = {name: TRIED.get(name, (name, None)) for name in ALL if DATA is not None or find_task(name).generated}
    # Another one than this process has, whose sets are in another order.
    there = rows_elsewhere(list(asked.values()), SOURCE, "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1")
    assert set(there) == {full_name for full_name, _ in asked.values()}
    for name, (full_name, _) in asked.items():
        here = subject_of(name).splits
        assert there[full_name] == {split: key_of([row.id for row in rows]) for split, rows in here.items()}


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("tiny_")])
def test_a_rephrased_training_row_is_not_held_out(name):
    """What a generated row is about, its worked steps, its query, its function's body, is in one split only."""
    splits = subject_of(name).splits

    def about(row):
        parts = row.reference["parts"]
        return parts.get("body") or row.gold

    contents = {split: {about(row) for row in splits[split]} for split in splits}
    assert not contents["train"] & (contents["dev"] | contents["test"])
    assert not contents["dev"] & contents["test"]
