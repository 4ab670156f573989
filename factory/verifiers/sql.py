"""A query, judged by what it returns: Spider's execution accuracy, on one database or a suite of them.

reference: `{"query": gold, "databases": [paths] | "schema": [statements] | [[statements], ...], "keep_distinct": bool,
"style": "tag" | "plain"}`. With several databases all must agree. Only one SELECT is ever executed, on a copy in memory.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.core.records import Verdict
from factory.verifiers import _extract, _sql_worker

SECONDS = 5.0


def answer_of(completion: str, style: str) -> str | None:
    """The query in a completion: `tag` the answer envelope, `plain` the last fenced block, else the whole text."""
    text = _extract.outside_reasoning(completion)
    if style == "tag":
        return _extract.answer_tag(text)
    block = _extract.last_fenced_block(text)
    return (block if block is not None else text).strip() or None


def databases_of(reference: Mapping[str, Any]) -> dict[str, Any]:
    """The databases by key: statements, or the bytes of a file.

    Raises:
        BadInput: none is given, or a file is missing.
    """
    if "schema" in reference:
        suites = reference["schema"]
        suites = [suites] if suites and isinstance(suites[0], str) else suites
        return {key_of(statements): list(statements) for statements in suites}
    definitions: dict[str, Any] = {}
    for name in reference.get("databases", ()):
        path = Path(name)
        try:
            status = path.stat()
            definitions[f"{path}:{status.st_mtime_ns}:{status.st_size}"] = path.read_bytes()
        except OSError as error:
            raise BadInput(
                f"database {path}: {error.strerror}; give the folder of databases with --databases"
            ) from error
    if not definitions:
        raise BadInput("the row names no database: expected 'databases' (paths) or 'schema' (statements)")
    return definitions


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the query returns what the gold query returns.

    Raises:
        BadInput: the gold query or a database cannot be used.
    """
    start = time.perf_counter()
    query = answer_of(completion, reference.get("style", "plain"))
    if query is None:
        return Verdict.of(False, "no query found", seconds=time.perf_counter() - start, format=0.0, runs=0.0)
    definitions = databases_of(reference)
    reply = _sql_worker.handle(
        {
            "databases": list(definitions),
            "load": definitions,
            "gold": reference["query"],
            "query": query,
            "keep_distinct": reference.get("keep_distinct", False),
            "seconds": reference.get("seconds", SECONDS),
        }
    )
    seconds = time.perf_counter() - start
    if "gold_error" in reply:
        raise BadInput(f"gold query {reference['query']!r}: {reply['gold_error']}")
    return Verdict.of(reply["correct"], reply["reason"], seconds=seconds, format=1.0, runs=float(reply["runs"]))
