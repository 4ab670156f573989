"""Where a checker asks for candidates, one a job, and the keeper watches the time."""

from __future__ import annotations

import array
import contextlib
import functools
import json
import os
import select
import signal
import socket
import time

from . import candidate, checker
from .locked import Locked

GRACE_SECONDS = 1.0
AHEAD = 4


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


def close(descriptors: list[int]) -> None:
    """Close some descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


def send_with(desk: socket.socket, message: bytes, descriptors: list[int]) -> None:
    """A message with descriptors attached."""
    desk.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])


class Desk:
    """One checker, and the candidates that it asks for, one a job. The keeper watches the time."""

    def __init__(self, lane: Locked, stream: int) -> None:
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
        self.ready: list[tuple[int, list[int]]] = []

    def offer(self) -> None:
        """Fork the next candidates; they wait, and know nothing yet.

        Several at once: what the keeper writes between two forks is memory that it has to copy for itself.
        """
        for _ in range(AHEAD):
            ours, theirs = socket.socketpair()
            printed, printing = os.pipe()
            pid = self.lane.fork(functools.partial(
                candidate.main, theirs.fileno(), printing, self.lane.filters, self.lane.alive
            ))  # fmt: skip
            theirs.close()
            os.close(printing)
            self.ready.append((pid, [ours.detach(), printed]))

    def take(self) -> tuple[int, list[int]]:
        """A candidate that is alive, and the descriptors that lead to it; one that was killed while it waited says
        nothing about the job that would have met it."""
        while True:
            if not self.ready:
                self.offer()
            pid, offered = self.ready.pop()
            if not os.waitpid(pid, os.WNOHANG)[0]:
                return pid, offered
            close(offered)

    def serve(self) -> None:
        """Hand candidates to the checker until it ends or the parent wants another."""
        late = ""
        while not late:
            if not self.ready:
                self.offer()
            ready = dict(self.poll.poll())
            if self.lane.control.fileno() in ready or self.ended in ready:
                break
            request = json.loads(self.desk.recv(4096) or b"{}")
            if not request:
                break
            self.candidate, offered = self.take()
            send_with(self.desk, b"go", offered)
            close(offered)
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
        status, used = end(self.checker)
        killed = end(self.candidate)[0] if self.candidate else 0
        for waiting, offered in self.ready:
            end(waiting)
            close(offered)
        self.desk.close()
        os.close(self.ended)
        self.lane.clean()
        self.lane.say({"late": late, "checker": status, "candidate": killed, "cpu": used})

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
