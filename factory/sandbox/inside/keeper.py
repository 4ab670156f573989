"""The keeper of a lane: a small clean process that forks the ones that work, watches them, and never sees a job.

Started as `python -s -S -P keeper.py CONFIG SOCKET` with an empty environment. It locks itself up once; then every order
on the control socket brings a stream, which it hands to a fresh process: a checker, which asks for a candidate per job,
or a worker (`sql`, `math`), which answers requests until it is told to end or killed. Candidates are forked before
their job is known to anybody here, so nothing worth reading is ever in their memory.
"""

from __future__ import annotations

import array
import contextlib
import functools
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
        from inside import landlock, limits, namespaces

        limits.no_new_privileges()
        without = self.config["without"]
        reason = "left out" if "namespaces" in without else namespaces.available(self.config["readable"])
        if not reason:
            namespaces.enter(self.config["readable"])
            self.clone_flags = namespaces.NEWPID | _SIGCHLD
            self.scratch = namespaces.SCRATCH
        self.applied["namespaces"] = reason
        os.chdir(self.scratch or "/")
        steps: tuple[tuple[str, Callable[[], object]], ...] = (
            ("landlock", lambda: landlock.restrict(self.config["readable"], [self.scratch] if self.scratch else [])),
            ("capabilities", lambda: limits.drop_capabilities(keep_admin=bool(self.scratch))),
            ("seccomp", self._filter),
        )
        for name, step in steps:
            try:
                if name in without:
                    raise OSError("left out")
                step()
                self.applied[name] = ""
            except (OSError, KeyError) as error:
                self.applied[name] = f"{type(error).__name__}: {error}"
        limits.hide_memory()

    def _filter(self) -> None:
        from inside import seccomp

        seccomp.install(seccomp.assembled(seccomp.outer_program()))
        self.filters = seccomp.assembled(seccomp.inner_program())

    def fork(self, run: Callable[[], None], *, own_ids: bool = True) -> int:
        """A child that runs a function which never returns; in a process namespace of its own where there are any."""
        from inside.syscalls import clone

        pid = clone(self.clone_flags) if self.clone_flags and own_ids else os.fork()
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
            import shutil  # rarely needed, and what the keeper holds every process pays for

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


def end(pid: int) -> tuple[int, float]:
    """Kill a process and reap it: how it ended (negative: by which signal), and the CPU time it used."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def send_with(desk: socket.socket, message: bytes, descriptors: list[int]) -> None:
    """A message with descriptors attached."""
    desk.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])


class Desk:
    """One checker, and the candidates that it asks for, one a job. The keeper watches the time."""

    def __init__(self, lane: Lane, stream: int) -> None:
        from inside import checker

        self.lane = lane
        self.desk, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.checker = lane.fork(lambda: checker.main(stream, theirs, lane.filters, lane.alive), own_ids=False)
        os.close(stream)
        theirs.close()
        self.ended = os.pidfd_open(self.checker)
        self.poll = select.poll()
        for descriptor in (self.desk.fileno(), self.ended, lane.control.fileno()):
            self.poll.register(descriptor, select.POLLIN)
        self.candidate = 0
        self.offered: list[int] = []

    def offer(self) -> None:
        """Fork the next candidate; it waits, and knows nothing yet."""
        from inside import candidate

        ours, theirs = socket.socketpair()
        printed, printing = os.pipe()
        self.candidate = self.lane.fork(
            lambda: candidate.main(theirs.fileno(), printing, self.lane.filters, self.lane.alive)
        )
        theirs.close()
        os.close(printing)
        self.offered = [ours.detach(), printed]

    def serve(self) -> None:
        """Hand candidates to the checker until it ends or the parent wants another."""
        self.offer()
        late = ""
        while not late:
            ready = dict(self.poll.poll())
            if self.lane.control.fileno() in ready or self.ended in ready:
                break
            request = json.loads(self.desk.recv(4096) or b"{}")
            if not request:
                break
            send_with(self.desk, b"go", self.offered)
            self._close_offered()
            late, stretched = self._watch(float(request["seconds"]))
            if not late or stretched:
                status, used = end(self.candidate)
                self.candidate = 0
                report = {"candidate": status, "cpu": used, "late": late}
                late = ""
                try:
                    self.desk.send(json.dumps(report).encode())
                except OSError:
                    break
                self.lane.clean()
                self.offer()
        status, used = end(self.checker)
        killed = end(self.candidate)[0] if self.candidate else 0
        self._close_offered()
        self.desk.close()
        os.close(self.ended)
        self.lane.clean()
        self.lane.say({"late": late, "checker": status, "candidate": killed, "cpu": used})

    def _close_offered(self) -> None:
        for descriptor in self.offered:
            os.close(descriptor)
        self.offered = []

    def _watch(self, seconds: float) -> tuple[str, bool]:
        """Wait until the checker is done: whether the time was up, and whether the checker itself still answers.

        The limit is on wall time, stretched (to at most 1.8 times) for code that is busy but was kept waiting for a
        core; the same number of seconds limits the CPU time.
        """
        start, late, limit = time.monotonic(), "", seconds
        already = cpu_seconds(self.checker)
        while True:
            ready = dict(self.poll.poll(max(1, int(1000 * (start + limit - time.monotonic())))))
            if self.lane.control.fileno() in ready or self.ended in ready:
                return "", False
            if ready:
                return late, self.desk.recv(4096) == b"done"
            wall = time.monotonic() - start
            if wall < limit:
                continue
            if late:
                return late, False
            used = cpu_seconds(self.candidate) + cpu_seconds(self.checker) - already
            if used < seconds and wall < 1.75 * seconds and used > 0.3 * wall:
                limit = min(1.8 * seconds, wall + max(0.05, seconds - used))
                continue
            late = f"timed out after {wall:.1f} s"
            os.kill(self.candidate, signal.SIGKILL)
            limit = wall + GRACE_SECONDS


def serve_checks(lane: Lane) -> None:
    """One checker after the other, each for as long as it lives."""
    while True:
        _, stream = lane.receive()
        Desk(lane, stream).serve()


def serve_worker(lane: Lane) -> None:
    """One process that answers requests on the descriptor of the last order; a new order replaces it."""
    from inside import worker

    handle = importlib.import_module(lane.config["worker"]).handle
    order, descriptor = lane.receive()
    while True:
        memory, stream = int(order["memory"]), descriptor
        pid = lane.fork(functools.partial(worker.main, stream, handle, lane.filters, lane.alive, memory))
        os.close(stream)
        order, descriptor = lane.receive()
        lane.say({"worker": end(pid)[0]})


def main() -> None:
    """Read the configuration, lock up, serve."""
    config = json.loads(sys.argv[1])
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path.append(here)
    sys.path.extend(config["paths"])
    for name in config["modules"]:
        importlib.import_module(name)
    for name in ("candidate", "checker", "worker", "namespaces", "landlock", "seccomp"):
        importlib.import_module(f"inside.{name}")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lane = Lane(config)
    if config["worker"]:
        importlib.import_module(config["worker"])
    lane.lock_up()
    sys.path.remove(here)
    sys.argv[1:] = []
    gc.collect()
    gc.freeze()
    lane.say({"ready": lane.applied})
    (serve_worker if config["worker"] else serve_checks)(lane)


if __name__ == "__main__":
    main()
