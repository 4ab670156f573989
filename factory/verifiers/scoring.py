"""Completions that someone else made, scored: what `factory verify` does."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from factory.core.atomic import clear_os_errors
from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.sandbox import pool
from factory.verifiers.rows import Options
from factory.verifiers.stream import Tally, VerifyRow, read_rows, results, score_rows

SECONDS_BETWEEN_NOTES = 5.0
VERSION = 2
"""Raise it when a verdict may change: an interrupted run of before is then not gone on with."""


def score(
    name: str,
    source: Path,
    output: Path | None,
    options: Options,
    *,
    workers: int | None,
    check: VerifyRow,
    write: Callable[[str], None],
) -> Tally:
    """Score the rows of `source` (`-`: standard input) into `output`, or line by line through `write`.

    Raises:
        BadInput: a row cannot be checked; the text names it.
        WorkFailed: this machine cannot isolate what has to be run.
    """
    workers = workers or 2 * pool.cores()
    pool.set_size(workers)
    where = "standard input" if str(source) == "-" else str(source)
    if output is not None and output.exists() and source.exists() and output.samefile(source):
        raise BadInput(f"--output {output} is the input itself; choose another file")
    with sys.stdin.buffer if str(source) == "-" else opened(source) as lines:
        if output is None:
            tally = Tally()
            for result in results(read_rows(lines, where), check, workers, where):
                tally.add(result)
                with clear_os_errors("standard output"):
                    write(json.dumps(result, allow_nan=False) + "\n")
            return tally
        databases = str(options.databases.resolve()) if options.databases else ""
        key = key_of(VERSION, name, databases, options.keep_distinct, options.timeout_seconds)
        return score_rows(lines, where, output, check, workers=workers, key=key, seen=_Notes())


def opened(source: Path) -> IO[bytes]:
    """A file of rows; a missing one is bad input."""
    try:
        return source.open("rb")
    except OSError as error:
        raise BadInput(f"{source}: {error.strerror}; give a JSON-lines file with --input") from error


class _Notes:
    """Says on standard error how far the work is, now and then."""

    def __init__(self) -> None:
        self._noted = time.monotonic()

    def __call__(self, rows: int) -> None:
        if time.monotonic() - self._noted > SECONDS_BETWEEN_NOTES:
            self._noted = time.monotonic()
            print(f"{rows} rows scored", file=sys.stderr, flush=True)
