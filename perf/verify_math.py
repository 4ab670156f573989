"""Comparing mathematical answers: ours (a killable worker, text compared first) against math-verify in this process.

Answers are golds written another way, so that text alone does not decide. With FACTORY_DATA they are MATH-500's.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path

from verify_python import measured


def rows() -> list[dict]:
    """`{"gold", "answer"}` pairs that are equal in value and not in text."""
    folder = os.environ.get("FACTORY_DATA")
    if folder:
        golds = [row["answer"] for row in json.loads((Path(folder) / "math/math500_test.json").read_text())]
    else:
        golds = [f"\\frac{{{a}}}{{{b}}}" for a in range(1, 26) for b in range(1, 21)]
    plain = [gold for gold in golds if not any(mark in gold for mark in ("text", "mbox", "=", ",", "%", "$"))]
    return [{"gold": gold, "answer": f"0+{gold}"} for gold in plain if not gold.startswith(("-", "("))]


def theirs(row: dict) -> bool:
    """math-verify as its documentation has it, limits off (they are signals)."""
    from math_verify import parse, verify

    gold = parse(f"${row['gold']}$", parsing_timeout=None)
    verify(gold, parse(f"\\boxed{{{row['answer']}}}", parsing_timeout=None), timeout_seconds=None)
    return True


def ours(row: dict) -> bool:
    """The same through the worker."""
    from factory.verifiers import math

    return math.verify(f"\\boxed{{{row['answer']}}}", {"answer": row["gold"]}).score is not None


def main() -> None:
    """Print both; ours must do at least 100 a second."""
    from factory.sandbox.pool import close_all

    logging.disable(logging.WARNING)
    work = rows()
    ours(work[0])
    theirs(work[0])
    mine = measured(ours, work, end=close_all)
    start = time.perf_counter()
    for row in work:
        theirs(row)
    peer = len(work) / (time.perf_counter() - start)
    print(
        f"factory      {mine['rate']:7.1f}/s  p50 {mine['p50']:6.1f} ms  "
        f"p99 {mine['p99']:6.1f} ms  CPU {mine['cpu']:5.1f} ms"
    )
    print(f"math-verify  {peer:7.1f}/s  in this process, one thread, nothing can stop it")
    print(f"ratio: {mine['rate'] / peer:.2f} x")
    sys.exit(int(mine["rate"] < 100))


if __name__ == "__main__":
    main()
