"""Spider's verdicts against the official evaluator's meaning, written again plainly.

Run both queries, compare under every order of the columns; rows are a bag unless the gold query orders them; DISTINCT
is left out on both sides.
"""

import os
import re
import sqlite3
import time
from collections import Counter
from itertools import permutations
from pathlib import Path

import psutil
import pytest

from factory.sandbox import probe
from factory.sandbox.pool import close_all
from factory.tasks._find import find_task
from factory.tasks._task import Source

DATA = os.environ.get("FACTORY_DATA")
pytestmark = [
    pytest.mark.skipif(DATA is None, reason="reads the mirror, and FACTORY_DATA is not set"),
    pytest.mark.skipif(not probe().usable, reason="no usable sandbox on this machine"),
    pytest.mark.alone,
]
COUNT, CPU_SECONDS = 1000, 20.0


def plain_rows(query, path):
    """What a query returns on a database, None if it fails."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    connection.text_factory = lambda text: text.decode(errors="ignore")
    try:
        return connection.execute(re.sub(r"(?i)\bdistinct\b", "", query)).fetchall()
    except sqlite3.Error:
        return None
    finally:
        connection.close()


def equal(gold, found, ordered):
    """test-suite-sql-eval's `result_eq`, without its short cuts."""
    if not gold and not found:
        return True
    if len(gold) != len(found) or len(gold[0]) != len(found[0]):
        return False
    for places in permutations(range(len(gold[0]))):
        moved = [tuple(row[place] for place in places) for row in found]
        if moved == gold if ordered else Counter(moved) == Counter(gold):
            return True
    return False


def predictions(rows):
    """A thousand: each gold written otherwise, and the gold queries of the next rows of the same database."""
    found = []
    for place, row in enumerate(rows):
        query = row.reference["query"]
        found.append((row, query.replace(">=", "> =").lower() if "'" not in query and '"' not in query else query))
        following = [other for other in rows[place + 1 :] if other.reference["databases"] == row.reference["databases"]]
        found += [(row, other.reference["query"]) for other in following[:1]]
        found += [(row, f"SELECT * FROM ({query}) LIMIT 3")] if place % 6 == 0 else []
    return found[:COUNT]


def cpu():
    """CPU-seconds of this process and of the sandboxes it has, those that ended in them included."""
    here = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in (here, *here.children(recursive=True)))


def test_a_thousand_predictions_get_the_official_verdict_in_twenty_cpu_seconds(capsys):
    task = find_task("spider")
    tried = predictions(task.rows("test", Source(Path(DATA))))
    close_all()  # of other tests; ours stay until they are counted
    start, wall = cpu(), time.monotonic()
    verdicts = [task.verify(query, row) for row, query in tried]
    spent, wall = cpu() - start, time.monotonic() - wall
    assert len(tried) == COUNT
    expected = []
    for row, query in tried:
        gold, path = row.reference["query"], row.reference["databases"][0]
        found = plain_rows(query.replace("> =", ">="), path)
        expected.append(found is not None and equal(plain_rows(gold, path), found, "order by" in gold.lower()))
    wrong = [(row.reference["query"], query, verdict.reason)
             for (row, query), verdict, right in zip(tried, verdicts, expected, strict=True)
             if verdict.correct is not right]  # fmt: skip
    assert wrong == []
    assert 500 < sum(expected) < 800  # both kinds are among them
    with capsys.disabled():
        print(f"\n{COUNT} predictions: {sum(expected)} right, {spent:.1f} CPU-seconds, {wall:.1f} s")
    assert spent <= CPU_SECONDS
