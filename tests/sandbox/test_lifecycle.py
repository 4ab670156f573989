"""Lanes: no process outlives us, none is left after a crash, a fork starts its own, and chaos changes no verdict."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from factory.core.records import Verdict
from factory.sandbox import probe
from factory.sandbox.check import CHECK, check
from factory.sandbox.pool import close_all, pool_of
from factory.verifiers import python, sql

ROOT = Path(__file__).parents[2]
TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0\n"
SCHEMA = ["CREATE TABLE t(a INTEGER)", "INSERT INTO t VALUES (1), (2), (3)"]

pytestmark = pytest.mark.skipif(not probe().usable, reason=f"no usable sandbox on this machine: {probe().missing}")


def of_session(session: int) -> list[int]:
    """All live processes of a session: a lane is one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def wait_until(true, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


def start(body: str) -> subprocess.Popen:
    """A parent of its own that prints the sessions of its lanes when it is busy."""
    head = """
        import os, sys, threading, time
        from factory.sandbox.check import CHECK, check
        from factory.sandbox.pool import pool_of
        check(["def f(): return 1"], ["assert f() == 1"], entry="f")
        """
    code = textwrap.dedent(head) + textwrap.dedent(body)
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


BUSY = """
    spin = "import time\\ndef f():\\n    while True: pass"
    threading.Thread(target=lambda: check([spin], ["f()"], entry="f", seconds=20), daemon=True).start()
    time.sleep(0.5)
    print(*[lane.process.pid for lane in pool_of(CHECK).lanes()], flush=True)
    time.sleep(60)
    """


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killing_the_parent_leaves_no_process(number: int) -> None:
    parent = start(BUSY)
    sessions = [int(word) for word in parent.stdout.readline().split()]
    assert sessions
    assert all(of_session(one) for one in sessions)
    parent.send_signal(number)
    _, errors = parent.communicate(timeout=20)
    assert wait_until(lambda: not any(of_session(one) for one in sessions)), "processes are left behind"
    assert "inside" not in errors and "keeper" not in errors, "a lane printed a traceback"


def test_a_parent_that_ends_closes_its_lanes() -> None:
    parent = start("print(*[lane.process.pid for lane in pool_of(CHECK).lanes()], flush=True)")
    out, errors = parent.communicate(timeout=20)
    assert parent.returncode == 0 and errors == ""
    assert wait_until(lambda: not any(of_session(int(one)) for one in out.split()))


def test_a_thread_that_started_a_lane_may_end() -> None:
    """PDEATHSIG counts the thread, not the process, as the parent; lanes must not depend on it."""
    close_all()
    thread = threading.Thread(target=lambda: check(["def f(): return 1"], ["assert f() == 1"], entry="f"))
    thread.start()
    thread.join()
    (lane,) = pool_of(CHECK).lanes()
    assert check(["def f(): return 1"], ["assert f() == 1"], entry="f").status == "passed"
    assert pool_of(CHECK).lanes() == [lane]


def test_a_forked_child_has_its_own_lanes() -> None:
    check(["def f(): return 1"], ["assert f() == 1"], entry="f")
    ours = [lane.process.pid for lane in pool_of(CHECK).lanes()]
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = check(["def f(): return 1"], ["assert f() == 1"], entry="f").status
        theirs = [lane.process.pid for lane in pool_of(CHECK).lanes()]
        close_all()
        os.write(write, f"{status} {set(theirs) & set(ours)}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 100) == b"passed set()"
    os.close(read)
    os.close(write)
    assert check(["def f(): return 1"], ["assert f() == 1"], entry="f").status == "passed"
    assert [lane.process.pid for lane in pool_of(CHECK).lanes()] == ours


def jobs(count: int) -> list[tuple[str, str, bool]]:
    """Hostile and honest completions, each with its verdict."""
    makers = [
        lambda i: ("python", f"def add(a, b):\n    return a + b  # {i}", True),
        lambda i: ("python", f"def add(a, b):\n    return a - b  # {i}", False),
        lambda i: ("python", f"import os\ndef add(a, b):\n    os._exit({i % 3})", False),
        lambda i: ("python", f"def add(a, b)\n    return {i}", False),
        lambda i: ("python", f"print('x' * {i % 50000})\nx = [0] * {i}\ndef add(a, b):\n    return a + b", True),
        lambda i: ("python", f"import os\nfor fd in range(3, 30):\n    try: os.write(fd, b'{i}')\n"
                             "    except OSError: pass\n"
                             "def add(a, b):\n    return 3", False),
        lambda i: ("sql", f"SELECT a FROM t WHERE a < 9 AND {i} = {i}", True),
        lambda i: ("sql", f"SELECT a + {i % 7 + 1} FROM t", False),
        lambda i: ("sql", "DROP TABLE t", False),
    ]  # fmt: skip
    return [random.Random(7 * i).choice(makers)(i) for i in range(count)]


def judged(job: tuple[str, str, bool]) -> Verdict:
    kind, completion, _ = job
    if kind == "python":
        return python.verify(completion, {"tests": TESTS, "entry_point": "add"})
    return sql.verify(completion, {"query": "SELECT a FROM t", "schema": SCHEMA})


def test_lanes_killed_at_random_change_no_verdict() -> None:
    """FACTORY_CHAOS completions (10,000 for a release) while keepers, checkers and candidates are killed at random.

    `FACTORY_CHAOS=10000 pytest -s -k killed_at_random tests/sandbox` prints the figures.
    """
    count = int(os.environ.get("FACTORY_CHAOS", "1500"))
    close_all()
    work = jobs(count)
    for job in work[:20]:
        judged(job)
    descriptors = open_descriptors()
    memory = resident()
    killed: Counter[str] = Counter()
    stop = threading.Event()
    threading.Thread(target=kill_at_random, args=(stop, killed), daemon=True).start()
    try:
        with ThreadPoolExecutor(6) as executor:
            verdicts = list(executor.map(judged, work))
    finally:
        stop.set()
    wrong = [(job, verdict) for job, verdict in zip(work, verdicts, strict=True) if verdict.correct is not job[2]]
    assert wrong == []
    assert len(verdicts) == count and sum(killed.values()) > count / 100
    sessions = [lane.process.pid for kind in (CHECK, sql.KIND) for lane in pool_of(kind).lanes()]
    close_all()
    assert wait_until(lambda: not any(of_session(one) for one in sessions))
    more, grown = open_descriptors() - descriptors, resident() - memory
    print(
        f"{count} verdicts, {len(wrong)} lost or changed; killed {dict(killed)}; left: {len(children_left())} "
        f"processes, {max(0, more)} descriptors; memory {grown / (1 << 20):+.1f} MiB"
    )
    assert more <= 0
    assert grown < 64 << 20
    assert not children_left()


def kill_at_random(stop: threading.Event, killed: Counter) -> None:
    rng = random.Random(5)
    while not stop.wait(0.05):
        lanes = [lane for kind in (CHECK, sql.KIND) for lane in pool_of(kind).lanes()]
        if not lanes:
            continue
        session = rng.choice(lanes).process.pid
        inside = [pid for pid in of_session(session) if pid != session]
        victim = session if rng.random() < 0.3 or not inside else rng.choice(inside)
        try:
            os.kill(victim, signal.SIGKILL)
            killed["keeper" if victim == session else "inside"] += 1
        except ProcessLookupError:
            continue


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def children_left() -> list[int]:
    me = os.getpid()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == me:
                found.append(int(entry.name))
    return found
