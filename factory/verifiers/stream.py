"""Many rows, one after the other: results in input order, in constant memory, resumable.

Results go to a partial file beside the output; when all are there it takes the output's name. A run that was killed
goes on where the partial file ends, as far as its rows are still those of the input.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from factory.core.errors import BadInput, FactoryError
from factory.core.records import Verdict
from factory.verifiers._partial import partial_of

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
VerifyRow = Callable[[str, Mapping[str, Any]], Verdict]
LONGEST_ID = 80
LONGEST_ERROR = 500
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A row, the number of its line, and a digest of the line."""

    number: int
    row: dict[str, Any]
    digest: str


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
    ended: FactoryError | None = None
    source = iter(items)
    try:
        while True:
            try:
                item = next(source)
            except StopIteration:
                break
            except FactoryError as error:  # what came before it is still given
                ended = error
                break
            pending.append(executor.submit(function, item))
            if len(pending) >= AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if ended is not None:
            raise ended
    finally:
        for one in pending:
            one.cancel()
        if any(one.running() for one in pending):
            from factory.sandbox.pool import close_all

            close_all()  # what is still being checked ends now, and its verdict is not wanted
        executor.shutdown()


def read_rows(lines: Iterable[bytes], where: str) -> Iterator[Line]:
    """The rows of JSON lines in UTF-8; empty lines are skipped, and so is a byte order mark.

    Raises:
        BadInput: a line is no row, with its number.
    """
    for number, raw in enumerate(lines, 1):
        line = (raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw).strip()
        if not line:
            continue
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError as error:
            raise BadInput(f"{where}, line {number}: not UTF-8 (byte {error.start + 1} of the line)") from error
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{where}, line {number}: not valid JSON ({error})") from error
        if not isinstance(value, dict) or "id" not in value:
            raise BadInput(f'{where}, line {number}: expected {{"id", "completion", "row"}}')
        if not isinstance(value["id"], (str, int)) or isinstance(value["id"], bool):
            raise BadInput(f"{where}, line {number}: 'id' should be a text or a whole number")
        if not isinstance(value.get("completion"), str) or not isinstance(value.get("row"), dict):
            raise BadInput(
                f"{where}, line {number} (id {_short(value['id'])}): 'completion' should be a text and 'row' an object"
            )
        yield Line(number, value, hashlib.blake2b(line, digest_size=8).hexdigest())


def _short(name: object) -> str:
    text = repr(name)
    return text if len(text) <= LONGEST_ID else f"{text[:LONGEST_ID]}..."


def results(rows: Iterable[Line], verify: VerifyRow, workers: int, where: str) -> Iterator[dict[str, Any]]:
    """Output rows `{"id", "score", "correct", "components", "reason", "seconds"}`, in input order.

    Raises:
        BadInput: a row cannot be checked; the text names it.
    """

    def one(line: Line) -> dict[str, Any]:
        row = line.row
        try:
            verdict = verify(row["completion"], row["row"])
        except BadInput as error:
            raise BadInput(
                f"{where}, line {line.number} (id {_short(row['id'])}): {str(error)[:LONGEST_ERROR]}"
            ) from error
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


def score_rows(
    lines: Iterable[bytes],
    where: str,
    output: Path,
    verify: VerifyRow,
    *,
    workers: int,
    key: str,
    seen: Callable[[int], None],
) -> Tally:
    """Score rows into a file; `key` names the settings, which an interrupted run must share to be resumed.

    Raises:
        BadInput: a row cannot be checked. What was done before it is kept for the next run.
        StoreError: the output cannot be written.
    """  # fmt: skip
    tally = Tally()
    taken: deque[str] = deque()
    with partial_of(output, key) as partial:

        def left() -> Iterator[Line]:
            resuming = True
            for line in read_rows(lines, where):
                done = partial.taken_over(line.row["id"], line.digest) if resuming else None
                if done is not None:
                    tally.add(done)
                    tally.resumed += 1
                    continue
                resuming = False
                taken.append(line.digest)
                yield line

        for result in results(left(), verify, workers, where):
            partial.add(result, taken.popleft())
            tally.add(result)
            seen(tally.rows)
        partial.publish()
    return tally
