"""Scoring a file of rows: in order, resumable after a kill, in constant memory."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.sandbox import probe
from factory.verifiers._partial import partial_of
from factory.verifiers.rows import Options, verifier_for
from factory.verifiers.stream import in_order, read_rows, results, score_rows

ROOT = Path(__file__).parents[2]


def write_rows(path: Path, count: int, wrong: int = 3) -> None:
    with path.open("w") as file:
        for i in range(count):
            answer = i + (i % wrong == 0)
            row = {"id": f"r{i}", "completion": f"#### {answer}", "row": {"question": "?", "answer": f"#### {i}"}}
            file.write(json.dumps(row) + "\n")


def score_file(source: Path, output: Path, verify, seen=lambda rows: None):
    with source.open("rb") as lines:
        return score_rows(lines, source.name, output, verify, workers=1, key="k", seen=seen)


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_results_come_in_the_order_of_the_rows() -> None:
    def slow_first(value: int) -> int:
        time.sleep(0.05 if value % 5 == 0 else 0)
        return value

    assert list(in_order(slow_first, range(40), 8)) == list(range(40))
    assert list(in_order(slow_first, range(10), 1)) == list(range(10))
    assert list(in_order(slow_first, [], 4)) == []


def test_what_came_before_a_bad_line_is_given() -> None:
    row = b'{"id": 1, "completion": "#### 1", "row": {"answer": "1"}}'
    stream = results(read_rows([row, row, b"{"], "in"), verifier_for("gsm8k", Options()), 4, "in")
    assert [next(stream)["id"], next(stream)["id"]] == [1, 1]
    with pytest.raises(BadInput, match="line 3"):
        next(stream)


def test_few_items_are_taken_ahead() -> None:
    taken = []

    def items():
        for value in range(1000):
            taken.append(value)
            yield value

    stream = in_order(lambda value: value, items(), 4)
    next(stream)
    assert len(taken) <= 20
    stream.close()


def test_a_file_is_scored(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "sub" / "out.jsonl"
    write_rows(source, 30)
    check = verifier_for("gsm8k", Options())
    with source.open("rb") as lines:
        tally = score_rows(lines, "in", output, check, workers=3, key="k", seen=lambda rows: None)
    assert [row["id"] for row in read(output)] == [f"r{i}" for i in range(30)]
    assert [row["correct"] for row in read(output)] == [i % 3 != 0 for i in range(30)]
    assert set(read(output)[0]) == {"id", "score", "correct", "components", "reason", "seconds"}
    assert tally.summary() == {"rows": 30, "correct": 20, "unscorable": 0, "resumed": 0, "mean_score": 0.666667}
    assert list(output.parent.iterdir()) == [output]


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 30)
    seen: list[str] = []
    gsm8k = verifier_for("gsm8k", Options())

    def stops(completion: str, row: dict) -> Verdict:
        seen.append(completion)
        if len(seen) == 13:
            raise KeyboardInterrupt
        return gsm8k(completion, row)

    with pytest.raises(KeyboardInterrupt):
        score_file(source, output, stops)
    partial = tmp_path / ".partial-k-out.jsonl"
    partial.write_text(partial.read_text() + '{"id": "r12", "sco')  # killed in the middle of a line
    tally = score_file(source, output, stops)
    assert tally.resumed == 12 and len(seen) == 13 + 18
    assert [row["id"] for row in read(output)] == [f"r{i}" for i in range(30)]
    assert tally.correct == 20


def interrupted(source: Path, output: Path, after: int) -> None:
    gsm8k, seen = verifier_for("gsm8k", Options()), []

    def stops(completion: str, row: dict) -> Verdict:
        seen.append(completion)
        if len(seen) > after:
            raise KeyboardInterrupt
        return gsm8k(completion, row)

    with pytest.raises(KeyboardInterrupt):
        score_file(source, output, stops)


@pytest.mark.parametrize("changed, kept", [(0, 0), (3, 3), (5, 5)])
def test_a_verdict_is_not_taken_over_for_another_completion(tmp_path: Path, changed: int, kept: int) -> None:
    """The ids are the same: only what the row holds tells that the file was written anew."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 6)
    interrupted(source, output, 5)
    rows = read(source)
    was_right = bool(changed % 3)
    rows[changed]["completion"] = "#### -1" if was_right else f"#### {changed}"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tally = score_file(source, output, verifier_for("gsm8k", Options()))
    assert tally.resumed == kept
    assert [row["correct"] for row in read(output)] == [bool(i % 3) is not (i == changed) for i in range(6)]


@pytest.mark.parametrize("left", ["broken\n", '{"id": "r0"}\n', "5\n", ""])
@pytest.mark.parametrize("end", [".partial-k-out.jsonl", ".partial-k-out.jsonl.rows"])
def test_a_damaged_partial_file_is_not_used(tmp_path: Path, left: str, end: str) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 6)
    interrupted(source, output, 4)
    file = tmp_path / end
    file.write_text(left + "".join(file.read_text().splitlines(keepends=True)[1:]))
    tally = score_file(source, output, verifier_for("gsm8k", Options()))
    assert tally.resumed == 0 and [row["id"] for row in read(output)] == [f"r{i}" for i in range(6)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_fewer_rows_than_were_done(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 6)
    interrupted(source, output, 5)
    write_rows(source, 2)
    assert score_file(source, output, verifier_for("gsm8k", Options())).resumed == 2
    assert [row["id"] for row in read(output)] == ["r0", "r1"]


def test_two_runs_do_not_write_the_same_output(tmp_path: Path) -> None:
    with partial_of(tmp_path / "out.jsonl", "k") as first:
        first.add({"id": 1, "score": 1.0, "correct": True}, "d")
        with pytest.raises(BadInput, match="another run"), partial_of(tmp_path / "out.jsonl", "k"):
            pass
    assert (tmp_path / ".partial-k-out.jsonl").read_text().count("\n") == 1


def test_other_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    row = json.dumps(
        {"id": "a", "completion": "#### 1", "row": {"question": "\u2028", "answer": "1"}}, ensure_ascii=False
    )
    (tmp_path / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + f"{row}\r\n\r\n{row}".encode())
    tally = score_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", verifier_for("gsm8k", Options()))
    assert (tally.rows, tally.correct) == (2, 2)


def test_a_failing_verifier_is_unscorable_not_wrong(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 4)

    def broken(completion: str, row: dict) -> Verdict:
        if row["answer"] == "#### 2":
            raise ZeroDivisionError
        return Verdict.of(True)

    tally = score_file(source, output, broken)
    assert (tally.unscorable, tally.summary()["mean_score"]) == (1, 1.0)
    assert read(output)[2]["score"] is None and read(output)[2]["correct"] is None


def test_memory_does_not_grow_with_the_rows() -> None:
    """Through the same code that a million rows take."""

    def lines(count: int):
        row = {"completion": "#### 1", "row": {"answer": "1", "question": "x" * 500}}
        for i in range(count):
            yield json.dumps({"id": i, **row}).encode()

    check = verifier_for("gsm8k", Options())
    peaks = []
    for count in (500, 5_000):
        tracemalloc.start()
        total = sum(one["correct"] for one in results(read_rows(lines(count), "x"), check, 4, "x"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert total == count
    assert peaks[1] < 1.2 * peaks[0] + 200_000


def test_a_bad_row_keeps_what_was_done(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_rows(source, 5)
    with source.open("a") as file:
        file.write(json.dumps({"id": "bad", "completion": "x", "row": {}}) + "\n")
    with pytest.raises(BadInput, match=r"line 6 \(id 'bad'\)"):
        score_file(source, output, verifier_for("gsm8k", Options()))
    assert not output.exists()
    write_rows(source, 7)
    tally = score_file(source, output, verifier_for("gsm8k", Options()))
    assert (tally.rows, tally.resumed) == (7, 5)


def run(tmp_path: Path, *arguments: str) -> subprocess.Popen:
    code = "from factory.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "verify", *arguments], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.skipif(not probe().usable, reason="no usable sandbox on this machine")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_command_killed_and_run_again(tmp_path: Path, number: int) -> None:
    with (tmp_path / "in.jsonl").open("w") as file:
        for i in range(400):
            row = {"text": "?", "test_list": [f"assert f(1) == {i}"]}
            completion = f"def f(x):\n    return {i if i % 4 else -1}"
            file.write(json.dumps({"id": i, "completion": completion, "row": row}) + "\n")
    arguments = ["mbpp", "--input", "in.jsonl", "--output", "out.jsonl", "--workers", "3", "--json"]
    first = run(tmp_path, *arguments)
    end = time.monotonic() + 60
    while time.monotonic() < end and first.poll() is None:
        partial = list(tmp_path.glob(".partial-*"))
        if partial and partial[0].read_bytes().count(b"\n") > 40:
            break
        time.sleep(0.02)
    first.send_signal(number)
    _, errors = first.communicate(timeout=60)
    assert first.returncode == (-9 if number == signal.SIGKILL else 130), errors
    assert "Traceback" not in errors
    assert not (tmp_path / "out.jsonl").exists()
    second = run(tmp_path, *arguments)
    out, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    summary = json.loads(out)
    assert summary["resumed"] > 20 and summary["rows"] == 400 and summary["correct"] == 300
    assert [row["id"] for row in read(tmp_path / "out.jsonl")] == list(range(400))


def test_standard_input_to_standard_output(tmp_path: Path) -> None:
    write_rows(tmp_path / "in.jsonl", 5)
    with (tmp_path / "in.jsonl").open() as lines:
        done = subprocess.run(
            [sys.executable, "-c", "from factory.cli import main; main()", "verify", "gsm8k", "--input", "-"],
            stdin=lines, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert [json.loads(line)["correct"] for line in done.stdout.splitlines()] == [False, True, True, False, True]
    assert "5 rows: 3 correct" in done.stderr
