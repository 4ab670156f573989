"""Checking SQL: ours against a connection opened for every query, as the official evaluator does, on Spider.

The peer executes gold and prediction and compares them; it has no isolation and no limits. Without FACTORY_DATA a small
database made here is used.
"""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import sys
import tempfile
from collections import Counter
from pathlib import Path

from verify_python import measured


def rows(scratch: Path) -> list[dict]:
    """`{"query", "file"}` of Spider's dev set, or of a stand-in."""
    folder = os.environ.get("FACTORY_DATA")
    found = []
    if folder:
        base = Path(folder) / "spider"
        for row in json.loads(gzip.decompress((base / "dev.json.gz").read_bytes())):
            file = base / "database" / row["db_id"] / f"{row['db_id']}.sqlite"
            if file.exists():
                found.append({"query": row["query"], "file": str(file)})
        return found
    file = scratch / "t.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t(a INTEGER, b TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(i, f"x{i % 7}") for i in range(200)])
    return [{"query": f"SELECT a, b FROM t WHERE a > {i % 50}", "file": str(file)} for i in range(500)]


def theirs(row: dict) -> bool:
    """Open, execute, close, for the gold and for the prediction."""
    results = []
    for _ in range(2):
        connection = sqlite3.connect(row["file"])
        connection.text_factory = lambda text: text.decode(errors="ignore")
        results.append(connection.execute(row["query"]).fetchall())
        connection.close()
    return Counter(results[0]) == Counter(results[1])


def ours(row: dict) -> bool:
    """The same through the sandboxed worker."""
    from factory.verifiers import sql

    return sql.verify(row["query"], {"query": row["query"], "databases": [row["file"]]}).correct is True


def main() -> None:
    """Print both; the peer is unprotected, so there is no ratio to hold, only 400 checks a second."""
    from factory.sandbox.pool import close_all

    with tempfile.TemporaryDirectory() as scratch:
        work = rows(Path(scratch))
        ours(work[0])
        mine = measured(ours, work * 4, end=close_all)
        peer = measured(theirs, work * 4, end=lambda: None)
    for name, one in (("factory", mine), ("a connection a query, unprotected", peer)):
        print(
            f"{name:<34} {one['rate']:7.1f}/s  p50 {one['p50']:6.2f} ms  "
            f"p99 {one['p99']:6.2f} ms  CPU {one['cpu']:5.2f} ms"
        )  # fmt: skip
    print(f"ratio: {mine['rate'] / peer['rate']:.2f} x")
    sys.exit(int(mine["rate"] < 400))


if __name__ == "__main__":
    main()
