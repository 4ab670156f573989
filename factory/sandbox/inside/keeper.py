"""The keeper of a lane: a small clean process that forks the ones that work, watches them, and never sees a job.

Started as `python -s -S -P keeper.py CONFIG` with an empty environment and the control socket as descriptor 3. It locks itself up once; then, for
every order on the control socket (a JSON line with one descriptor attached), it hands the descriptor to fresh processes
and says how they ended. For `check` these are a candidate, forked before the descriptor is even received, and a checker;
for a worker (`sql`, `math`) one process that answers requests until it is told to end or killed.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


GRACE_SECONDS = 1.0
_SIGCHLD = 17


class Lane:
    """What the keeper holds: the control socket, the filter, and the processes at work."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.control = socket.socket(fileno=int(sys.argv[2]))
        self.alive, self._held_open = os.pipe()
        self.applied: dict[str, str] = {}
        self.filters: bytes | None = None
        self.clone_flags = 0
        self.scratch = ""

    def lock_up(self) -> None:
        """Apply every layer that this kernel grants; what it does not is noted, with the reason."""
        from inside import landlock, limits, namespaces, seccomp

        limits.no_new_privileges()
        reason = namespaces.available(self.config["readable"])
        if not reason:
            namespaces.enter(self.config["readable"])
            self.clone_flags = namespaces.NEWPID | _SIGCHLD
            self.scratch = namespaces.SCRATCH
        self.applied["namespaces"] = reason
        os.chdir(self.scratch or "/")
        steps: tuple[tuple[str, Callable[[], object]], ...] = (
            ("landlock", lambda: landlock.restrict(self.config["readable"], [self.scratch] if self.scratch else [])),
            ("seccomp", self._prepare_filters),
        )
        for name, step in steps:
            try:
                step()
                self.applied[name] = ""
            except (OSError, KeyError) as error:
                self.applied[name] = f"{type(error).__name__}: {error}"
        if self.applied["seccomp"] == "":
            self.filters = seccomp.assembled()
        limits.hide_memory()

    def _prepare_filters(self) -> None:
        """Try the filter for real in a child: it must be accepted."""
        from inside import seccomp

        code = seccomp.assembled()
        pid = os.fork()
        if pid == 0:
            try:
                seccomp.install(code, os.getpid())
            except OSError as error:
                os._exit(error.errno or 1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise OSError(status, os.strerror(status) if status > 0 else "killed")

    def fork(self, run: Callable[[], None]) -> int:
        """A child that runs a function which never returns; in a process namespace of its own where there are any."""
        from inside.syscalls import clone

        pid = clone(self.clone_flags) if self.clone_flags else os.fork()
        if pid:
            return pid
        try:
            os.close(self._held_open)
            run()
        except BaseException:  # noqa: BLE001 (nothing may return into the keeper's loop)
            if self.config.get("debug"):
                sys.excepthook(*sys.exc_info())
        os._exit(70)

    def receive(self) -> tuple[dict[str, Any], int]:
        """The next order and its descriptor; ends this process when the parent is gone."""
        fds = array.array("i")
        message, ancillary, _, _ = self.control.recvmsg(4096, socket.CMSG_SPACE(4))
        if not message:
            os._exit(0)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:4])
        return json.loads(message), fds[0] if fds else -1

    def say(self, message: dict[str, Any]) -> None:
        """Tell the parent."""
        try:
            self.control.sendall(json.dumps(message).encode())
        except OSError:
            os._exit(0)

    def clean(self) -> None:
        """Empty the scratch folder; a lane that cannot ends, and a fresh one takes its place."""
        if not self.scratch:
            return
        os.umask(0o077)
        for name in os.listdir(self.scratch):
            import shutil

            path = f"{self.scratch}/{name}"
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)


def cpu_seconds(pid: int) -> float:
    """CPU time that a live process has used."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def end(pids: dict[int, int], usage: dict[str, Any], names: dict[int, str]) -> None:
    """Kill and reap processes; `usage` gets how each ended and the CPU time of all."""
    for pid, descriptor in pids.items():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        _, status, used = os.wait4(pid, 0)
        usage[names[pid]] = os.waitstatus_to_exitcode(status)
        usage["cpu"] += used.ru_utime + used.ru_stime
        os.close(descriptor)


def serve_checks(lane: Lane) -> None:
    """One job after the other, each in two fresh processes."""
    from inside import candidate, checker

    while True:
        ours, theirs = socket.socketpair()
        printed, printing = os.pipe()
        first = lane.fork(lambda: candidate.main(theirs.fileno(), printing, lane.filters, lane.alive))
        theirs.close()
        os.close(printing)
        order, descriptor = lane.receive()
        second = lane.fork(lambda: checker.main(descriptor, ours.fileno(), printed, lane.filters, lane.alive))
        ours.close()
        os.close(printed)
        os.close(descriptor)
        watch(lane, first, second, float(order["seconds"]))
        lane.clean()


def watch(lane: Lane, candidate: int, checker: int, seconds: float) -> None:
    """Wait for the checker to end, within the limits of the job; then end both and report.

    The limit is on wall time, stretched (to at most 1.8 times) for code that is busy but was kept waiting for a core; the
    same number of seconds limits the CPU time.
    """
    start = time.monotonic()
    pids = {pid: os.pidfd_open(pid) for pid in (candidate, checker)}
    poll = select.poll()
    poll.register(pids[checker], select.POLLIN)
    poll.register(lane.control.fileno(), select.POLLHUP | select.POLLRDHUP)
    late = ""
    limit = seconds
    while True:
        ready = dict(poll.poll(max(1, int(1000 * (start + limit - time.monotonic())))))
        if lane.control.fileno() in ready:
            os._exit(0)
        if ready:
            break
        wall = time.monotonic() - start
        if wall < limit:
            continue
        used = cpu_seconds(candidate) + cpu_seconds(checker)
        if not late and used < seconds and wall < 1.75 * seconds and used > 0.3 * wall:
            limit = min(1.8 * seconds, wall + max(0.05, seconds - used))
            continue
        if late:
            break
        late = "timed out"
        os.kill(candidate, signal.SIGKILL)
        limit = wall + GRACE_SECONDS
    report: dict[str, Any] = {"cpu": 0.0, "late": late, "seconds": time.monotonic() - start}
    end(pids, report, {candidate: "candidate", checker: "checker"})
    lane.say(report)


def serve_worker(lane: Lane) -> None:
    """One process that answers requests on the descriptor of the last order; a new order replaces it."""
    from inside import worker

    handle = importlib.import_module(lane.config["worker"]).handle
    gc.collect()
    gc.freeze()
    order, descriptor = lane.receive()
    while True:
        memory = int(order["memory"])
        pid = lane.fork(lambda: worker.main(descriptor, handle, lane.filters, lane.alive, memory))
        os.close(descriptor)
        pids = {pid: os.pidfd_open(pid)}
        order, descriptor = lane.receive()
        report: dict[str, Any] = {"cpu": 0.0}
        end(pids, report, {pid: "worker"})
        lane.say(report)


def main() -> None:
    """Read the configuration, lock up, serve."""
    config = json.loads(sys.argv[1])
    here = str(Path(__file__).resolve().parent.parent)
    sys.path.append(here)
    sys.path.extend(config.get("paths", []))
    for name in config["modules"]:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    for name in ("frames", "values", "candidate", "remote", "checker", "worker", "namespaces", "landlock", "seccomp"):
        importlib.import_module(f"inside.{name}")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lane = Lane(config)
    if config.get("worker"):
        importlib.import_module(config["worker"])
    lane.lock_up()
    sys.path.remove(here)
    gc.collect()
    gc.freeze()
    lane.say({"ready": lane.applied})
    (serve_worker if config.get("worker") else serve_checks)(lane)


if __name__ == "__main__":
    main()
