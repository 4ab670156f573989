"""Executes queries on databases held in memory and compares their results. Runs inside a killable, sandboxed worker.

A request is `{"databases": [key], "gold", "query", "keep_distinct", "seconds", "load": {key: definition}}`, where a
definition is a list of SQL statements or the bytes of a database file. Databases are kept by key; an unknown key is
answered with `{"need": [key]}`. Standard library only.
"""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from typing import Any

# inside the sandbox these files lie side by side, and `factory` is not there
from _sql_compare import equal_results  # type: ignore[import-not-found]
from _sql_text import first_statement, first_word, is_ordered, prepared  # type: ignore[import-not-found]

MOST_DATABASES = 256
MOST_BYTES = 512 << 20
MOST_ROWS = 200_000
MOST_RESULT_BYTES = 64 << 20
STEPS_BETWEEN_LOOKS = 10_000
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_FORBIDDEN_FUNCTIONS = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "random", "randomblob"}


class Refused(Exception):
    """The query may not run, did not run, or gave too much; the text says why."""


class Database:
    """One database in memory, its authorizer, and the results of gold queries on it."""

    def __init__(self, definition: list[str] | bytes) -> None:
        self.size = len(definition) if isinstance(definition, bytes) else 64 << 10
        self.connection = sqlite3.connect(":memory:", cached_statements=16)
        self.connection.text_factory = lambda text: text.decode(errors="ignore")
        if isinstance(definition, bytes):
            self.connection.deserialize(definition)
            self.connection.execute("SELECT count(*) FROM sqlite_master")
        else:
            for statement in definition:
                self.connection.execute(statement)
            self.connection.commit()
        self.connection.execute("PRAGMA temp_store = MEMORY")  # there is no file to sort in
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 32 << 20)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 1 << 20)
        self.connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self.connection.set_authorizer(self._allow)
        self.connection.set_progress_handler(self._late, STEPS_BETWEEN_LOOKS)
        self.deadline = 0.0
        self.results: OrderedDict[str, list[tuple[Any, ...]]] = OrderedDict()

    @staticmethod
    def _allow(action: int, _first: str | None, second: str | None, *_: object) -> int:
        if action not in _ALLOWED:
            return sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def _late(self) -> bool:
        return time.monotonic() > self.deadline

    def rows(self, query: str, most: int) -> list[tuple[Any, ...]]:
        """At most `most` rows of a query's result.

        Raises:
            Refused: it is forbidden, wrong, late, or its result too large.
        """
        try:
            cursor = self.connection.execute(query)
            rows, size = [], 0
            for row in cursor:
                rows.append(row)
                size += 16 * len(row) + sum(len(value) for value in row if isinstance(value, (str, bytes)))
                if size > MOST_RESULT_BYTES:
                    raise Refused("the result is too large")
                if len(rows) >= most:
                    break
            cursor.close()
            return rows
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
            if self._late():
                raise Refused("timed out") from error
            raise Refused(f"does not run: {type(error).__name__}: {str(error)[:200]}") from error

    def gold_rows(self, query: str) -> list[tuple[Any, ...]]:
        """The whole result of a gold query, kept."""
        known = self.results.get(query)
        if known is None:
            known = self.rows(query, MOST_ROWS)
            self.results[query] = known
            if len(self.results) > 64 or len(known) > 20_000:
                self.results.popitem(last=False)
        return known


class Databases:
    """The databases by key, the least recently used ones dropped."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Database] = OrderedDict()

    def get(self, key: str, load: dict[str, Any]) -> Database | None:
        """The database of a key, made from its definition in `load` if it is there; else None."""
        known = self._held.get(key)
        if known is None:
            if key not in load:
                return None
            known = self._held[key] = Database(load[key])
            while len(self._held) > MOST_DATABASES or sum(one.size for one in self._held.values()) > MOST_BYTES:
                if len(self._held) == 1:
                    break
                self._held.popitem(last=False)[1].connection.close()
        else:
            self._held.move_to_end(key)
        return known


_databases = Databases()


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Execute and compare; gives `{"need"}`, `{"gold_error"}`, or `{"correct", "runs", "reason"}`."""
    found: list[Database] = []
    for key in request["databases"]:
        try:
            database = _databases.get(key, request.get("load") or {})
        except (sqlite3.Error, sqlite3.Warning, ValueError, TypeError) as error:
            return {"gold_error": f"database {key}: {type(error).__name__}: {error}"}
        if database is None:
            return {"need": request["databases"]}
        found.append(database)
    return _compare(found, request, time.monotonic() + request["seconds"])


def _compare(found: list[Database], request: dict[str, Any], deadline: float) -> dict[str, Any]:
    keep_distinct = bool(request["keep_distinct"])
    gold = prepared(first_statement(request["gold"]), keep_distinct=keep_distinct)
    statement = first_statement(request["query"])
    query = prepared(statement, keep_distinct=keep_distinct)
    empty = True
    for place, database in enumerate(found, 1):
        database.deadline = deadline
        try:
            expected = database.gold_rows(gold)
        except Refused as error:
            return {"gold_error": f"database {place}: the gold query {error}"}
        empty = empty and not expected
        try:
            _look_at(request["query"], statement)
            rows = database.rows(query, len(expected) + 1)
        except Refused as error:
            return {"correct": False, "runs": False, "reason": str(error)}
        if not equal_results(expected, rows, ordered=is_ordered(gold)):
            return {"correct": False, "runs": True, "reason": f"another result on database {place}"}
    return {"correct": True, "runs": True, "reason": "both results are empty" if empty else "equal results"}


def _look_at(text: str, statement: str) -> None:
    if "\x00" in text:
        raise Refused("the query holds a NUL character")
    if first_word(statement) not in ("select", "with"):
        raise Refused("not a SELECT")
