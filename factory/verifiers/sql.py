"""A query, judged by what it returns: Spider's execution accuracy, on one database or a suite of them.

reference: `{"query": gold, "databases": [paths] | "schema": [statements] | [[statements], ...], "keep_distinct": bool,
"style": "tag" | "plain", "seconds": limit}`. With several databases all must agree. Databases are read into the memory
of a sandboxed, killable worker, where one SELECT is executed and nothing else is allowed; their files are never opened
there. Differences from the official evaluator (test-suite-sql-eval), on purpose: its time limit works, its columns are
matched without trying all permutations, only the first statement counts, anything but a SELECT is refused, and so are
`random()` and functions that reach files. As there, two empty results are equal: do not train on such rows.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.core.records import Verdict
from factory.sandbox import require
from factory.sandbox.kind import Kind
from factory.sandbox.lane import Lane, LaneLate, WorkerDied
from factory.sandbox.pool import LanesDied, pool_of
from factory.verifiers import _extract

SECONDS = 5.0
LARGEST_FILE = 512 << 20
BOTH_EMPTY = "both results are empty"
"""The reason of a right answer that proves little: any query without a result would have been right."""
KIND = Kind("sql", "_sql_worker", (str(Path(__file__).parent),), ("sqlite3",), memory_bytes=2000 << 20)

Load = Callable[[], Any]


def answer_of(completion: str, style: str) -> str | None:
    """The query in a completion: `tag` the answer envelope, `plain` the last fenced block, else the whole text."""
    text = _extract.outside_reasoning(completion)
    if style == "tag":
        return _extract.answer_tag(text)
    block = _extract.last_fenced_block(text)
    return (block if block is not None else text).strip() or None


def databases_of(reference: Mapping[str, Any]) -> dict[str, Load]:
    """The databases by key, each with what loads its definition: statements, or the bytes of a file.

    Raises:
        BadInput: none is given, or a file is missing or too large.
    """
    if reference.get("schema"):
        suites = reference["schema"]
        suites = [suites] if isinstance(suites[0], str) else suites
        return {_schema_key(tuple(statements)): partial(list, statements) for statements in suites}
    found: dict[str, Load] = {}
    for name in reference.get("databases", ()):
        path = Path(name)
        try:
            status = path.stat()
        except OSError as error:
            raise BadInput(
                f"database {path}: {error.strerror}; give the folder of databases with --databases"
            ) from error
        if status.st_size > LARGEST_FILE:
            raise BadInput(
                f"database {path}: {status.st_size >> 20} MiB, at most {LARGEST_FILE >> 20} MiB can be checked"
            )
        found[f"{path}:{status.st_mtime_ns}:{status.st_size}"] = partial(_file, path)
    if not found:
        raise BadInput("the row names no database: expected 'databases' (paths) or 'schema' (statements)")
    return found


@lru_cache(maxsize=8192)
def _schema_key(statements: tuple[str, ...]) -> str:
    return key_of(*statements)


def _file(path: Path) -> dict[str, str]:
    content = path.read_bytes()
    if not content.startswith(b"SQLite format 3\x00"):
        raise BadInput(f"database {path}: not an SQLite 3 file; restore it")
    return {"base64": base64.b64encode(content).decode()}


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the query returns what the gold query returns.

    Components: `format` (there is a query), `runs` (it executes on the first database).

    Raises:
        BadInput: the gold query or a database cannot be used.
        WorkFailed: this machine cannot isolate the query.
    """
    start = time.perf_counter()
    databases = databases_of(reference)
    query = answer_of(completion, reference.get("style", "plain"))
    if query is None:
        return Verdict.of(False, "no query found", seconds=time.perf_counter() - start, format=0.0, runs=0.0)
    try:
        reply = _ask(query, databases, reference)
    except LanesDied as error:
        return Verdict.unscorable(str(error), seconds=time.perf_counter() - start)
    seconds = time.perf_counter() - start
    if "gold_error" in reply:
        raise BadInput(f"gold query {reference['query']!r}: {reply['gold_error']}")
    if "failed" in reply:
        return Verdict.unscorable(f"the checker failed: {reply['failed']}", seconds=seconds)
    return Verdict.of(reply["correct"], reply["reason"], seconds=seconds, format=1.0, runs=float(reply["runs"]))


def _ask(query: str, databases: dict[str, Load], reference: Mapping[str, Any]) -> dict[str, Any]:
    require()
    seconds = float(reference.get("seconds", SECONDS))
    request = {
        "databases": list(databases),
        "gold": reference["query"],
        "query": query,
        "keep_distinct": bool(reference.get("keep_distinct", False)),
        "seconds": seconds,
    }

    def work(lane: Lane) -> dict[str, Any]:
        missing = [key for key in databases if key not in lane.sent]
        for keys in (missing, list(databases)):
            load = {key: databases[key]() for key in keys}
            reply = lane.ask({**request, "load": load}, seconds + 1)
            lane.sent.update(keys)
            if "need" not in reply:
                break
        return reply

    pool = pool_of(KIND)
    try:
        return pool.use(work)
    except (LaneLate, WorkerDied) as error:
        why = "timed out" if isinstance(error, LaneLate) else "the query ended the database engine"
        request["query"] = reference["query"]
        try:
            pool.use(work)
        except (LaneLate, WorkerDied):
            return {"gold_error": why}
        return {"correct": False, "runs": False, "reason": why}
