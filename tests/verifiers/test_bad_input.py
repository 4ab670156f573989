"""What cannot be checked is an error that says why, never a zero; the command names the row and leaves with 2."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from factory.core.errors import BadInput
from factory.sandbox import probe
from factory.verifiers import choice, countdown, grid, math, name, numeric, python, sql, steps
from factory.verifiers.rows import Options, verifier_for
from factory.verifiers.stream import Line, results

ROOT = Path(__file__).parents[2]
isolated = pytest.mark.skipif(not probe().usable, reason="no usable sandbox on this machine")
F = "def f(x): return x"


@pytest.mark.parametrize(
    "verify, completion, reference, said",
    [
        (numeric.verify, "#### 1", {"answer": "many"}, "not a number"),
        (numeric.verify, "#### 1", {"answer": "1", "style": "loud"}, "unknown answer style"),
        (math.verify, "\\boxed{1}", {"answer": " "}, "empty"),
        (countdown.verify, "1+2", {"numbers": "1,x", "target": 3}, "countdown needs"),
        (countdown.verify, "1+2", {"numbers": "1,2"}, "countdown needs"),
        (grid.verify, "1 2", {"target": "abc"}, "no row of digits"),
        (name.verify, "Bob", {"target": ""}, "no 'target'"),
        (choice.verify, "A", {"answer": "Z"}, "none of the choices"),
        (steps.verify, "<answer>1</answer>", {"expression": "1 +"}, "cannot be computed"),
        (steps.verify, "<answer>1</answer>", {"expression": "1 + 1", "answer": "3"}, "is not the value"),
        (python.verify, F, {"tests": "assert f(1) = 1"}, "do not compile"),
        (python.verify, "", {"tests": "assert f(1) = 1"}, "do not compile"),
        (python.verify, F, {"tests": []}, "no tests"),
        (python.verify, F, {"tests": "assert True"}, "call no function"),
        (python.verify, F, {"check": "def check(candidate): pass"}, "needs 'entry_point'"),
        (sql.verify, "SELECT 1", {"query": "SELECT 1", "databases": ["/nowhere/a.sqlite"]}, "No such file"),
        (sql.verify, "SELECT 1", {"query": "SELECT 1"}, "names no database"),
    ],
)  # fmt: skip
def test_references_that_cannot_be_used(verify, completion: str, reference: dict, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        verify(completion, reference)


@isolated
@pytest.mark.parametrize(
    "verify, completion, reference, said",
    [
        (python.verify, F, {"tests": "assert 1 == 1", "entry_point": "f"}, "never call"),
        (python.verify, F, {"check": "def check(c):\n    pass", "entry_point": "f"}, "never call"),
        (sql.verify, "SELECT 1", {"query": "SELECT a FROM u", "schema": ["CREATE TABLE t(a)"]}, "no such table: u"),
        (sql.verify, "SELECT 1", {"query": "DELETE FROM t", "schema": ["CREATE TABLE t(a)"]}, "not authorized"),
        (sql.verify, "SELECT 1", {"query": "SELECT 1", "schema": ["CREATE TABEL t(a)"]}, "syntax error"),
    ],
)  # fmt: skip
def test_golds_that_fail_their_own_verifier(verify, completion: str, reference: dict, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        verify(completion, reference)


@isolated
def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_text("not a database")
    with pytest.raises(BadInput, match="not an SQLite 3 file"):
        sql.verify("SELECT 1", {"query": "SELECT 1", "databases": [tmp_path / "a.sqlite"]})
    damaged = tmp_path / "b.sqlite"
    with sqlite3.connect(damaged) as connection:
        connection.execute("CREATE TABLE t(a)")
    damaged.write_bytes(damaged.read_bytes()[:100] + b"\xff" * 4000)
    with pytest.raises(BadInput, match="gold query"):
        sql.verify("SELECT 1", {"query": "SELECT a FROM t", "databases": [damaged]})


def command(tmp_path: Path, name_: str, rows: list, *options: str) -> subprocess.CompletedProcess:
    source = tmp_path / "rows.jsonl"
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    source.write_bytes(text.encode(errors="surrogateescape"))
    return subprocess.run(
        [sys.executable, "-c", "from factory.cli import main; main()", "verify", name_, "--input", str(source),
         *options],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def rows_that_are_wrong():
    """Each field of each dataset's row, missing and with whatever else a file may hold there."""
    good = {
        "mbpp": {"test_list": ["assert f(1) == 1"], "test_setup_code": "", "test_imports": []},
        "humaneval": {"prompt": "def f(x):\n", "test": "def check(c):\n    assert c(1) == 1\n", "entry_point": "f"},
        "math": {"answer": "5"},
        "gsm8k": {"answer": "#### 5"},
        "countdown": {"numbers": "1,2", "target": 3},
        "zebra": {"target": "al"},
        "arc_1d": {"target": "0 1"},
        "spider": {"db_id": "d", "query": "SELECT 1"},
    }
    deep: list = []
    for _ in range(60):
        deep = [deep]
    never = [1.5e300, float("nan"), float("inf"), True, {"a": 1}, deep, [None], [float("nan")]]
    for name_, fields in good.items():
        for field in fields:
            for value in [*never, None, "", " ", []]:
                if field.startswith("test_") and value in (None, "", " ", []) and field != "test_list":
                    continue
                if isinstance(value, float) and field == "answer" and value == 1.5e300:
                    continue
                if field == "test_imports" and value == " ":
                    continue
                yield name_, {**fields, field: value}
    yield "mbpp", {"test_list": "assert f(1) == 1"}
    yield "mbpp", {"test_list": ["assert f(1) == 1"], "test_imports": ["import no_such_module"]}
    yield "mbpp", {"test_list": ["assert f(1) == 1"], "test_setup_code": "1 / 0"}
    yield "mbpp", {"test_list": ["assert f(1) == 2"], "code": "def f(x): return 5"}
    yield "humaneval", {**good["humaneval"], "test": "assert True"}
    yield "humaneval", {**good["humaneval"], "prompt": "Write a function f."}
    yield "humaneval", {**good["humaneval"], "entry_point": "f(1)"}
    yield "countdown", {"numbers": [1.5, 2], "target": 3}
    yield "countdown", {"numbers": "1;2", "target": 3}
    yield "countdown", {"numbers": "1,2", "target": 3.5}
    yield "spider", {"db_id": "d" * 5000, "query": "SELECT 1"}


@isolated
@pytest.mark.parametrize("name_, row", [pytest.param(*one, id=f"{one[0]}-{i}") for i, one in
                                        enumerate(rows_that_are_wrong())])  # fmt: skip
def test_a_wrong_row_is_refused_whatever_the_completion(tmp_path: Path, name_: str, row: dict) -> None:
    (tmp_path / "d").mkdir()
    with sqlite3.connect(tmp_path / "d" / "d.sqlite") as connection:
        connection.execute("CREATE TABLE t(a)")
    row = {"ground_truth": row} if name_ in ("countdown", "zebra", "arc_1d") else row
    completion = "SELECT 2" if name_ == "spider" else "def f(x): return x"
    line = Line(7, {"id": "the one", "completion": completion, "row": row}, "")
    with pytest.raises(BadInput, match=r"^in, line 7 \(id 'the one'\): ") as caught:
        list(results([line], verifier_for(name_, Options(databases=tmp_path)), 1, "in"))
    assert len(str(caught.value)) < 700


@isolated
def test_what_a_row_may_leave_open() -> None:
    """A head without a docstring; a failing completion beside a gold program that passes, or is only slow."""
    row = {"prompt": "def f(x):\n", "test": "def check(c):\n    assert c(1) == 1\n", "entry_point": "f"}
    humaneval = verifier_for("humaneval", Options())
    assert humaneval("    return x", row).correct
    assert humaneval("def f(x):\n    return x", row).correct
    assert humaneval("    return 2", {**row, "canonical_solution": "    return x\n"}).correct is False
    mbpp = verifier_for("mbpp", Options(timeout_seconds=0.3))
    slow = "def f(x):\n    while True: pass"
    assert mbpp("def f(x): return 2", {"test_list": ["assert f(1) == 1"], "code": slow}).correct is False
    assert mbpp("def g(x): return 2", {"test_list": ["assert f(1) == 1"], "test_setup_code": "y = f(2)"}).score == 0
    raises = "def f(x): raise ImportError"
    assert mbpp(raises, {"test_list": ["assert f(1) == 1"], "test_setup_code": "y = f(2)"}).score == 0


GOOD = {"id": "a", "completion": "#### 1", "row": {"question": "?", "answer": "#### 1"}}


@pytest.mark.parametrize(
    "name_, rows, options, said",
    [
        ("gsm8k", [GOOD, {**GOOD, "id": "second", "row": {"question": "?"}}], [], ["line 2", "second", "lacks answer"]),
        ("gsm8k", [GOOD, "{broken"], [], ["line 2", "not valid JSON"]),
        ("gsm8k", [GOOD, {"completion": "x", "row": {}}], [], ["line 2", "expected"]),
        ("gsm8k", [{**GOOD, "completion": 5}], [], ["line 1", "'completion' should be a text"]),
        ("gsm8k", [GOOD, {**GOOD, "id": float("nan")}], [], ["line 2", "'id' should be"]),
        ("gsm8k", [GOOD, '{"id": "\udcff"}'], [], ["line 2", "not UTF-8"]),
        ("gsm8k", ['{"id": 1, "completion": "x", "row": ' + "[" * 100_000], [], ["line 1", "not valid JSON"]),
        ("gsm8k", [{**GOOD, "row": {"answer": "#### lots"}}], [], ["line 1", "'a'", "not a number"]),
        ("mbpp", [{"id": 1, "completion": "x", "row": {"text": "?"}}], [], ["line 1", "lacks test_list"]),
        ("mbpp", [{"id": 1, "completion": F, "row": {"test_list": ["assert f("]}}], [], ["line 1", "do not compile"]),
        ("countdown", [{"id": 1, "completion": "x", "row": {"ground_truth": "5"}}], [], ["'ground_truth' should be"]),
        ("spider", [{"id": 1, "completion": "x", "row": {"db_id": "a", "query": "SELECT 1"}}], [], ["--databases"]),
        ("spider", [{"id": 1, "completion": "x", "row": {"db_id": "a", "query": "SELECT 1"}}], ["--databases", "."],
         ["line 1", "no database"]),
        ("spider", [{"id": 1, "completion": "x", "row": {"db_id": "../a", "query": "SELECT 1"}}], ["--databases", "."],
         ["no plain folder name"]),
        ("gms8k", [GOOD], [], ["unknown task or benchmark", "did you mean 'gsm8k'"]),
        ("gsm8k", [GOOD], ["--timeout", "500"], ["--timeout"]),
    ],
)  # fmt: skip
def test_the_command_names_the_row(tmp_path: Path, name_: str, rows: list, options: list, said: list[str]) -> None:
    done = command(tmp_path, name_, rows, *options)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert all(part in done.stderr for part in said), done.stderr


def test_a_missing_input(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from factory.cli import main; main()", "verify", "gsm8k", "--input", "none.jsonl"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2 and "none.jsonl" in done.stderr and "Traceback" not in done.stderr
