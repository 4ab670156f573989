"""Untrusted code against tests: the job, and the outcome in words that do not depend on how it was isolated."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from factory.sandbox.kind import Kind
from factory.sandbox.lane import Lane
from factory.sandbox.pool import pool_of
from factory.sandbox.probe import require

Status = Literal["passed", "failed", "load", "missing", "died", "timeout", "tests"]

CHECK = Kind("code")
SECONDS = 10.0
MEMORY_BYTES = 1 << 30
OUTPUT_BYTES = 64 << 10
KILLED_TWICE = 3
"""How often a job is tried whose process was killed by nobody we know (the machine ran out of memory, a person)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of code and its tests.

    Attributes:
        status: passed; failed (a test); load (the code does not run); missing (the tested name is not defined); died;
            timeout; tests (the tests themselves are broken).
        passed: tests passed before the first failure.
        total: tests.
        reason: one sentence.
        printed: the beginning of what the code printed.
        seconds: wall time.
        cpu_seconds: CPU time of the two processes.
    """

    status: Status
    passed: int
    total: int
    reason: str
    printed: str
    seconds: float
    cpu_seconds: float


def check(
    sources: Sequence[str],
    tests: Sequence[Any],
    *,
    entry: str = "",
    prelude: str = "",
    setup: str = "",
    programs: bool = False,
    seconds: float = SECONDS,
    memory_bytes: int = MEMORY_BYTES,
    probed: bool = False,
) -> Outcome:
    """Run untrusted sources in one process and trusted tests in another.

    Args:
        sources: Python texts, executed in order in one space.
        tests: trusted Python texts; with `programs` objects `{"input", "output"}` and the source is run for each.
        entry: the tested name, "" if the tests say.
        prelude: trusted code that the tests rely on.
        setup: trusted statements before the first test, which may use what the sources define.
        programs: whether the source is a whole program that reads and prints.
        seconds: CPU limit, and wall limit unless the machine is overloaded (then up to 1.8 times as much).
        memory_bytes: address space of the candidate's process.
        probed: do not ask whether this machine is safe enough; for the probe itself.

    Raises:
        WorkFailed: this machine cannot isolate code, or the sandbox does not start.
    """
    if not probed:
        require()
    start = time.perf_counter()
    job: dict[str, Any] = {
        "sources": list(sources),
        "entry": entry,
        "prelude": prelude,
        "setup": setup,
        "tests": list(tests),
        "main": programs,
        "memory": memory_bytes,
        "cpu": int(seconds) + 1,
        "seconds": seconds,
        "output_bytes": OUTPUT_BYTES,
    }
    pool = pool_of(CHECK)

    def work(lane: Lane) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        return lane.check(job, seconds)

    for _ in range(KILLED_TWICE):
        result, report = pool.use(work)
        if not _killed_by_a_stranger(result, report, seconds):
            break
    spent = time.perf_counter() - start
    if report["late"] and (result is None or result["status"] != "tests"):
        result = {"status": "timeout", "passed": 0, "reason": report["late"]}
    elif result is None:
        result = {"status": "died", "passed": 0, "reason": "the tests did not survive what the code returned"}
    elif result["status"] == "died" and report["candidate"] == -signal.SIGKILL and report["cpu"] >= seconds:
        result = {**result, "status": "timeout", "reason": f"used more than {seconds:g} s of CPU time"}
    elif result["status"] in ("died", "load") and report["candidate"] not in (0, -signal.SIGKILL):
        result = {**result, "reason": f"the code ended its process ({_ended(report['candidate'])})"}
    return Outcome(
        result["status"], result["passed"], len(tests), result["reason"], result.get("printed", ""), spent,
        report["cpu"],
    )  # fmt: skip


def _ended(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit code {status}"


def _killed_by_a_stranger(result: dict[str, Any] | None, report: dict[str, Any], seconds: float) -> bool:
    """Whether a process was killed though it kept within its limits and we did not kill it."""
    if report["late"] or report["cpu"] >= seconds:
        return False
    if result is None:
        return bool(report["checker"] in (-signal.SIGKILL, 0))
    return (
        result["status"] in ("died", "load") and "ended" in result["reason"] and report["candidate"] == -signal.SIGKILL
    )
