"""Tasks by full name: levels, styles, settings, members; what is not there is named."""

import re

import pytest

from factory.core import discover
from factory.core.errors import BadInput, UnknownName
from factory.tasks._find import find_task
from factory.tasks._style import RAW_FRAME
from factory.tasks._task import Source

PLUGIN = """
from factory.tasks._style import Question, Worded
from factory.tasks._task import Task
from factory.verifiers import numeric

def questions(split, source):
    return [Question(f"{split}{n}", f"What is {n} + 1?", str(n + 1), {"answer": str(n + 1)}, f"{n}+1={n + 1}", n % 2)
            for n in range(4)]

ASKS = {"hashes": " Answer after ####."}
TASK = Task("plus", 1, "adds one", "Apache-2.0", "made here", Worded(questions, "tag", asks=ASKS),
            lambda completion, row: numeric.verify(completion, row.reference), levels={"even": 0, "odd": 1})
"""
FAMILY = (
    PLUGIN
    + """
from dataclasses import replace
def task(member, settings):
    return replace(TASK, summary=f"{member} {sorted(settings.items())}")
"""
)


@pytest.fixture(autouse=True)
def plugins(tmp_path, monkeypatch):
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "plus.py").write_text(PLUGIN)
    (folder / "family.py").write_text(FAMILY)
    monkeypatch.setattr(discover, "_user_root", tmp_path)


def rows(name):
    return find_task(name).rows("test", Source())


def test_a_style_changes_prompt_gold_and_mark_and_nothing_else():
    tag, hashes = rows("plus")[1], rows("plus@hashes")[1]
    assert tag.prompt == "What is 1 + 1? Think step by step and give the answer as <answer>ANSWER</answer>."
    assert tag.gold == "1+1=2\n<answer>2</answer>"
    assert (hashes.prompt, hashes.gold) == ("What is 1 + 1? Answer after ####.", "1+1=2\n#### 2")
    assert (tag.id, tag.question, tag.difficulty) == (hashes.id, hashes.question, hashes.difficulty)
    assert (tag.reference["style"], hashes.reference["style"]) == ("tag", "hashes")
    assert rows("plus@boxed")[1].gold == "1+1=2\n\\boxed{2}"
    task = find_task("plus@hashes")
    assert task.verify(hashes.gold, hashes).correct
    assert not task.verify(tag.gold, hashes).correct


def test_raw_prompts_stand_in_their_frame():
    row = rows("plus@boxed@raw")[0]
    assert row.raw
    assert row.prompt.startswith(RAW_FRAME.partition("{")[0])
    assert "User: What is 0 + 1? Think" in row.prompt
    assert row.prompt.endswith("Assistant: Let me solve this step by step.")
    assert not rows("plus@boxed")[0].raw


@pytest.mark.parametrize("name", ["plus@odd@tag", "plus@tag@odd"])
def test_a_level_leaves_the_other_rows_out(name):
    assert [row.id for row in rows(name)] == ["test1", "test3"]
    assert find_task(name).name == name


def test_members_and_settings_reach_the_family():
    assert find_task("family:sums@size=3@b=x=y").summary == "sums [('b', 'x=y'), ('size', '3')]"


@pytest.mark.parametrize(
    "name, error, says",
    [
        ("plus@od", UnknownName, "did you mean 'odd'"),
        ("plus@even@odd", UnknownName, "'odd'"),
        ("plux", UnknownName, "did you mean 'plus'"),
        ("plus:sums", BadInput, "has no members"),
        ("plus@size=3", BadInput, "nothing to set"),
        ("tiny_sql@boxed", UnknownName, "'boxed'"),
    ],
)
def test_what_is_not_there_is_named(name, error, says):
    with pytest.raises(error, match=re.escape(says)):
        find_task(name)
