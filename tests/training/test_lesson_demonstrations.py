"""Demonstrations: which row each is of, and none that its task's verifier does not accept."""

import json
import re

import pytest

from factory.core.errors import BadInput
from factory.core.records import Row, Verdict
from factory.rewards import Pool, Scorer
from factory.tasks._task import Task
from factory.training.demonstrations import from_file, gold_answers, verified


def task(name, rows):
    def judge(text, row):
        return Verdict.of(text.endswith(row.gold.splitlines()[-1]), "not the answer")

    return Pool(Task(name, 1, "", "CC0-1.0", "", lambda split, source: rows, judge), rows)


@pytest.fixture
def pools():
    sums = [Row(str(n), f"{n} + 1", f"{n} and one\n= {n + 1}", {}) for n in range(6)]
    return {"sums": task("sums", sums), "towns": task("towns", [Row("fr", "France", "Paris", {})])}


@pytest.fixture
def file(tmp_path):
    def write(*lines):
        path = tmp_path / "mine.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return path

    return write


PARIS = {"id": "fr", "completion": "Paris"}


def judged(pools, given, *, drop=False):
    return verified(given, Scorer(pools, {"correct": 1.0}, 0.0), drop=drop)


def test_gold_answers_whole_and_bare(pools):
    assert gold_answers(pools)[2].text == "2 and one\n= 3"
    assert [one.text for one in gold_answers(pools, bare=True)] == [*(f"= {n + 1}" for n in range(6)), "Paris"]
    empty = {**pools, "mute": task("mute", [Row("0", "?", "", {})])}
    with pytest.raises(BadInput, match="task mute has no gold answers"):
        gold_answers(empty)


def test_a_line_names_its_row_by_id_or_by_prompt(pools, file):
    path = file({"prompt": "3 + 1", "completion": "x = 4"}, PARIS, {"id": 5, "completion": "= 6", "task": "sums"})
    given = from_file(path, pools)
    assert [(one.task, one.row, one.text) for one in given] == [
        ("sums", 3, "x = 4"),
        ("towns", 0, "Paris"),
        ("sums", 5, "= 6"),
    ]
    assert judged(pools, given) == (given, {})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"id": "99", "completion": "= 4"}, "line 2: id '99' is no training row of sums, towns"),
        ({"completion": "= 4"}, "line 2: has neither 'id' nor 'prompt'"),
        ({"id": "3", "completion": "= 4", "task": "towns"}, "line 2: id '3' is no training row"),
        ({"id": "3", "completion": None}, "line 2: no demonstration; expected"),
        (["3", "= 4"], "line 2: no demonstration; expected"),
        ({"id": "3", "completion": "= 5"}, "line 2 (not the answer)"),
    ],
)
def test_a_wrong_line_is_named(pools, file, line, expected):
    path = file(PARIS, line, {"id": "1", "completion": "= 2"})
    with pytest.raises(BadInput, match=re.escape(f"{path}, {expected}")) as refused:
        judged(pools, from_file(path, pools))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_cut_off_or_leaves_a_task_out_or_is_not_there(pools, file, tmp_path):
    with pytest.raises(BadInput, match="no demonstration of task sums"):
        from_file(file(PARIS), pools)
    path = file(PARIS)
    path.write_text(path.read_text() + '{"id": "1", "compl')
    with pytest.raises(Exception, match=f"{path.name}.* 2") as refused:
        from_file(path, pools)
    assert refused.type.__mro__[1:]  # one of ours, not a bare ValueError
    assert refused.type.__module__ == "factory.core.errors"
    with pytest.raises(BadInput, match="no file"):
        from_file(tmp_path / "none.jsonl", pools)


def test_what_fails_is_dropped_on_request_and_counted(pools, file):
    wrong = [{"id": str(n), "completion": "no"} for n in range(5)]
    given = from_file(file(PARIS, *wrong, {"id": "5", "completion": "= 6"}), pools)
    with pytest.raises(BadInput, match=r"5 of 7 demonstrations .*line 2 .*line 3 .*line 4 .*, and 2 more; mend them"):
        judged(pools, given)
    good, refused = judged(pools, given, drop=True)
    assert [one.text for one in good] == ["Paris", "= 6"]
    assert refused == {"sums": 5}
    with pytest.raises(BadInput, match="task sums: none of its demonstrations passes"):
        judged(pools, given[:-1], drop=True)
