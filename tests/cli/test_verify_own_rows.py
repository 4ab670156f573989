"""`factory verify` of a task that is the user's own file of rows: a row is a line of that file."""

import json

import pytest

from factory.core import discover

TASK = """\
---
summary: capitals of countries
licence: CC0-1.0
prompt: What is the capital of {country}?
answer: capital
verifier: exact
options: {fold: true}
style: tag
split: part
---
{"country": "France", "capital": "Paris", "part": "train"}
"""
CHILE = {"country": "Chile", "capital": "Santiago"}


@pytest.fixture
def verify(factory, tmp_path, monkeypatch):
    monkeypatch.setattr(discover, "_user_root", tmp_path)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "capitals.jsonl").write_text(TASK)

    def run(*rows):
        lines = [json.dumps({"id": n, "completion": text, "row": row}) for n, (text, row) in enumerate(rows)]
        (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
        return factory("verify", "capitals", "--input", "rows.jsonl")

    return run


def test_a_row_as_the_file_has_it_and_as_the_task_has_it(verify):
    reference = {"answer": "Santiago", "fold": True, "style": "tag"}
    code, out, _ = verify(
        ("<answer>santiago</answer>", CHILE),
        ("<answer>Paris</answer>", CHILE),
        ("<answer>santiago</answer>", {"prompt": "?", "gold": "", "reference": reference}),
    )
    assert code == 0
    assert [json.loads(line)["correct"] for line in out.splitlines()] == [True, False, True]


@pytest.mark.parametrize(
    "row, says",
    [
        ({"country": "Chile"}, "no 'capital'; the row has country"),
        ({**CHILE, "capital": ["Santiago"]}, "'capital' should be a text or a number"),
        ({"prompt": "?"}, "no 'country'; the row has prompt"),
    ],
)
def test_a_row_that_cannot_be_judged_is_named(verify, row, says):
    code, _, err = verify(("<answer>x</answer>", CHILE), ("<answer>x</answer>", row))
    assert code == 2
    assert "rows.jsonl, line 2 (id 1)" in err
    assert says in err
    assert len(err.strip().splitlines()) == 1
