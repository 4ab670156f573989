"""Many rows, one after the other: results in input order, in constant memory, resumable.

Results go to a partial file beside the output; when all are there it takes the output's name. A run that was killed
goes on where the partial file ends, if its ids are still those of the input.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from factory.core.atomic import TEMPORARY, clear_os_errors
from factory.core.errors import BadInput, FactoryError
from factory.core.records import Verdict

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
VerifyRow = Callable[[str, Mapping[str, Any]], Verdict]


@dataclass
class Tally:
    """What came of the rows.

    Attributes:
        rows: all of them.
        correct: solved.
        unscorable: the verifier failed on them; not in the mean.
        resumed: rows taken from an earlier, interrupted run.
        total: sum of scores.
    """

    rows: int = 0
    correct: int = 0
    unscorable: int = 0
    resumed: int = 0
    total: float = 0.0

    def add(self, result: Mapping[str, Any]) -> None:
        """Count one output row."""
        self.rows += 1
        self.correct += bool(result["correct"])
        self.unscorable += result["score"] is None
        self.total += result["score"] or 0.0

    def summary(self) -> dict[str, Any]:
        """As JSON, with the mean over the scorable rows."""
        scorable = self.rows - self.unscorable
        counts = {key: value for key, value in asdict(self).items() if key != "total"}
        return {**counts, "mean_score": round(self.total / scorable, 6) if scorable else None}


def in_order(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """`function` of every item, in the order of the items, `workers` at a time and few items ahead."""
    if workers == 1:
        yield from map(function, items)
        return
    pending: deque[Future[R]] = deque()
    executor = ThreadPoolExecutor(workers)
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) >= AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for one in pending:
            one.cancel()
        if any(one.running() for one in pending):
            from factory.sandbox.pool import close_all

            close_all()  # what is still being checked ends now, and its verdict is not wanted
        executor.shutdown()


def read_rows(lines: Iterable[str], where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and rows; empty lines are skipped.

    Raises:
        BadInput: a line is no row, with its number.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{where}, line {number}: not valid JSON ({error})") from error
        if not isinstance(value, dict) or "id" not in value:
            raise BadInput(f'{where}, line {number}: expected {{"id", "completion", "row"}}')
        if not isinstance(value.get("completion"), str) or not isinstance(value.get("row"), dict):
            raise BadInput(
                f"{where}, line {number} (id {value['id']!r}): 'completion' should be a text and 'row' an object"
            )
        yield number, value


def results(
    rows: Iterable[tuple[int, dict[str, Any]]], verify: VerifyRow, workers: int, where: str
) -> Iterator[dict[str, Any]]:
    """Output rows `{"id", "score", "correct", "components", "reason", "seconds"}`, in input order.

    Raises:
        BadInput: a row cannot be checked; the text names it.
    """

    def one(numbered: tuple[int, dict[str, Any]]) -> dict[str, Any]:
        number, row = numbered
        try:
            verdict = verify(row["completion"], row["row"])
        except BadInput as error:
            raise BadInput(f"{where}, line {number} (id {row['id']!r}): {error}") from error
        except FactoryError:
            raise
        except Exception as error:  # noqa: BLE001 (a mistake in a verifier is no verdict: counted, and shown)
            verdict = Verdict.unscorable(f"the verifier failed: {type(error).__name__}: {error}"[:500])
        return {
            "id": row["id"],
            "score": verdict.score,
            "correct": verdict.correct,
            "components": dict(verdict.components),
            "reason": verdict.reason,
            "seconds": round(verdict.seconds, 6),
        }

    return in_order(one, rows, workers)


def dumped(result: Mapping[str, Any]) -> str:
    """One output line."""
    return json.dumps(result, allow_nan=False) + "\n"


def score_file(
    source: Path, output: Path, verify: VerifyRow, *, workers: int, key: str, seen: Callable[[int], None]
) -> Tally:
    """Score a file of rows into another; `key` names the settings, which an interrupted run must share to be resumed.

    Raises:
        BadInput: a row cannot be checked. What was done before it is kept for the next run.
        StoreError: the output cannot be written.
    """
    tally = Tally()
    partial = output.with_name(f"{TEMPORARY}{key}-{output.name}")
    with clear_os_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with opened(source) as lines, partial.open("a+", encoding="utf-8") as file:
            rows = read_rows(lines, str(source))
            _resume(file, rows, tally)
            if tally.rows != tally.resumed:  # the partial file was of other rows: all over again
                lines.seek(0)
                rows, tally = read_rows(lines, str(source)), Tally()
            for result in results(rows, verify, workers, str(source)):
                file.write(dumped(result))
                file.flush()
                tally.add(result)
                seen(tally.rows)
            os.fsync(file.fileno())
        partial.replace(output)
    return tally


def opened(source: Path) -> IO[str]:
    """A file of rows; a missing one is bad input."""
    try:
        return source.open(encoding="utf-8", errors="strict")
    except OSError as error:
        raise BadInput(f"{source}: {error.strerror}; give a JSON-lines file with --input") from error


def _resume(file: IO[str], rows: Iterator[tuple[int, dict[str, Any]]], tally: Tally) -> None:
    """Take over the whole lines of a partial file whose ids are the input's; empty the file if they are not."""
    file.seek(0)
    kept = 0
    while (line := file.readline()).endswith("\n"):
        try:
            done = json.loads(line)
            same = next(rows)[1]["id"] == done["id"]
            tally.add(done)
        except (ValueError, KeyError, TypeError, StopIteration):
            same = False
        if not same:
            file.seek(0)
            file.truncate()
            tally.rows, tally.resumed = 1, 0
            return
        tally.resumed += 1
        kept = file.tell()
    file.seek(kept)
    file.truncate()
