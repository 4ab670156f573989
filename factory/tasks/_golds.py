"""Gold answers, checked with the task's own verifier: in parallel, and once, for as long as neither of them changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import factory.verifiers
from factory.core.errors import BadInput
from factory.core.hashing import file_digest, key_of
from factory.core.records import Row, Verdict
from factory.sandbox import pool
from factory.tasks._cache import cache_folder, keep, recorded
from factory.verifiers.stream import in_order

Judge = Callable[[Row, Verdict], str | None]
"""Why a row whose gold answer got this verdict is not used; None if it is."""


def accepted(row: Row, verdict: Verdict) -> str | None:
    """The plain judge: the gold answer has to be right."""
    del row
    return None if verdict.correct else f"its own answer is not accepted: {verdict.reason}"


def refused_golds(
    task: str, source: str, rows: Sequence[Row], verify: Callable[[str, Row], Verdict], judge: Judge = accepted
) -> dict[str, str]:
    """The rows whose gold answer is not to be trusted, by id, with the reason.

    Args:
        task: name and version of the task.
        source: the fingerprint of where the rows come from.
        rows: all of the task.
        verify: the task's verifier; rows it cannot use (`BadInput`) are refused with what it says.
        judge: looks at the verdict.

    Raises:
        WorkFailed: this machine cannot isolate what has to be run.
    """
    path = record_of("golds", task, source)
    known = recorded(path, ("rows", "refused"))
    ids = key_of([(row.id, row.gold) for row in rows])
    if known is not None and known["rows"] == ids:
        return dict(known["refused"])

    def problem(row: Row) -> str | None:
        try:
            return judge(row, verify(row.gold, row))
        except BadInput as error:
            return str(error)

    reasons = in_order(problem, rows, 2 * pool.cores())
    refused = {row.id: reason for row, reason in zip(rows, reasons, strict=True) if reason is not None}
    keep(path, {"rows": ids, "refused": refused})
    return refused


def record_of(kind: str, task: str, source: str) -> Path:
    """Where something that is found of a task's rows is kept: until the rows or the verifiers change."""
    return cache_folder(f"{kind}-{key_of(task, source, _verifiers_version())}.json")


@lru_cache(maxsize=1)
def _verifiers_version() -> str:
    """Of what verdicts are a function of: our code, and the library that compares formulas."""
    folder = Path(factory.verifiers.__file__).parent
    return key_of([file_digest(path) for path in sorted(folder.glob("*.py"))], version("math-verify"))
