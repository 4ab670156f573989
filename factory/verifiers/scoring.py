"""Completions that someone else made, scored: what `factory verify` does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from factory.core.atomic import TEMPORARY, clear_os_errors
from factory.core.hashing import key_of
from factory.sandbox import pool
from factory.verifiers.rows import Options
from factory.verifiers.stream import Tally, VerifyRow, dumped, opened, read_rows, results, score_file

SECONDS_BETWEEN_NOTES = 5.0


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
    if output is None or str(source) == "-":
        return _stream(source, output, check, workers, write)
    noted = time.monotonic()

    def seen(rows: int) -> None:
        nonlocal noted
        if time.monotonic() - noted > SECONDS_BETWEEN_NOTES:
            noted = time.monotonic()
            print(f"{rows} rows scored", file=sys.stderr, flush=True)

    databases = str(options.databases.resolve()) if options.databases else ""
    key = key_of(name, databases, options.keep_distinct, options.timeout_seconds)
    return score_file(source, output, check, workers=workers, key=key, seen=seen)


def _stream(source: Path, output: Path | None, check: VerifyRow, workers: int, write: Callable[[str], None]) -> Tally:
    """Without a file at both ends there is nothing to resume; an output file still appears whole or not at all."""
    tally = Tally()
    where = "standard input" if str(source) == "-" else str(source)
    with ExitStack() as stack:
        lines = sys.stdin if str(source) == "-" else stack.enter_context(opened(source))
        if output is not None:
            stack.enter_context(clear_os_errors(output))
            output.parent.mkdir(parents=True, exist_ok=True)
            partial = output.with_name(f"{TEMPORARY}{os.getpid()}-{output.name}")
            write = stack.enter_context(partial.open("w", encoding="utf-8")).write  # type: ignore[assignment]
        for result in results(read_rows(lines, where), check, workers, where):
            tally.add(result)
            write(dumped(result))
    if output is not None:
        partial.replace(output)
    return tally
