"""Verdicts written so far, beside the output that they will be: what an interrupted run goes on from.

Two files grow together: the verdicts, one JSON line each, and for each the digest of the row that it is of. A verdict
is taken over only if its row is still the same, completion and all, so that a file which was changed since is scored
anew from the first row that differs.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from factory.core.atomic import TEMPORARY, clear_os_errors
from factory.core.errors import BadInput, StoreError

OPTION = "--output"


class Partial:
    """The partial files of one output, open at the first row."""

    def __init__(self, output: Path, verdicts: IO[bytes], marks: IO[bytes]) -> None:
        self._output, self._verdicts, self._marks = output, verdicts, marks

    def taken_over(self, name: object, digest: str) -> dict[str, Any] | None:
        """The verdict of the next row if it is of this id and digest; else None, and what follows is cut off."""
        places = self._verdicts.tell(), self._marks.tell()
        verdict, mark = self._verdicts.readline(), self._marks.readline()
        if verdict.endswith(b"\n") and mark == f"{digest}\n".encode():
            try:
                done = json.loads(verdict)
            except ValueError:
                done = None
            if isinstance(done, dict) and done.get("id") == name and {"score", "correct"} <= done.keys():
                return done
        for file, place in zip((self._verdicts, self._marks), places, strict=True):
            file.seek(place)
            file.truncate()
        return None

    def add(self, verdict: Mapping[str, Any], digest: str) -> None:
        """Append a verdict; when this returns, a killed process cannot lose it."""
        self._verdicts.write(json.dumps(verdict, allow_nan=False).encode() + b"\n")
        self._verdicts.flush()
        self._marks.write(f"{digest}\n".encode())
        self._marks.flush()

    def publish(self) -> None:
        """All is there: flush it to disk and give it the output's name."""
        self._verdicts.truncate()
        os.fsync(self._verdicts.fileno())
        Path(self._verdicts.name).replace(self._output)
        Path(self._marks.name).unlink()


@contextmanager
def partial_of(output: Path, key: str) -> Iterator[Partial]:
    """The partial files, open and ours alone; they stay if the work is interrupted after the first verdict.

    Raises:
        StoreError: the output's folder cannot be written.
        BadInput: another run is writing the same output.
    """
    verdicts = output.with_name(f"{TEMPORARY}{key}-{output.name}")
    marks = output.with_name(f"{verdicts.name}.rows")
    with clear_os_errors(output, OPTION):
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:
            raise StoreError(f"cannot write {output}: no such folder can be made; choose another {OPTION}") from error
        for path in (verdicts, marks):
            path.touch()
        with verdicts.open("r+b") as verdict_file, marks.open("r+b") as mark_file:
            try:
                fcntl.flock(mark_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BadInput(f"another run is writing {output}; wait for it, or choose another {OPTION}") from error
            try:
                yield Partial(output, verdict_file, mark_file)
            finally:
                if marks.exists() and not marks.stat().st_size:  # nothing to go on from
                    for path in (verdicts, marks):
                        path.unlink(missing_ok=True)
