"""One lane, seen from our side: a keeper process, started when needed, killed when it does not answer.

A lane does one thing at a time. It dies with this process (its control socket ends), and is in a session of its own, so
that Ctrl-C reaches only us.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.core.errors import WorkFailed
from factory.sandbox.inside.frames import HEADER
from factory.sandbox.kind import Kind

START_SECONDS = 60.0
STRETCH = 1.8
MARGIN_SECONDS = 8.0
JOBS_OF_A_CHECKER = 500
WORKER_ATTEMPTS = 3
_START = "import sys; sys.path.append({here!r}); from inside.keeper import main; main()"


class LaneDied(Exception):
    """The lane is gone, through no fault of what it was doing that we could tell."""


class LaneLate(Exception):
    """The worker did not answer in time and was killed."""


class WorkerDied(Exception):
    """The worker ended on one request, several times; the lane lives and has a fresh one."""


@dataclass(eq=False)
class Lane:
    """A keeper process and the sockets to it."""

    kind: Kind
    applied: dict[str, str] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    jobs: int = 0

    def __post_init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.stream: socket.socket | None = None
        python = getattr(sys, "_base_executable", None) or sys.executable
        environment = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        quiet = None if os.environ.get("FACTORY_SANDBOX_DEBUG") else subprocess.DEVNULL
        start = _START.format(here=str(Path(__file__).parent))
        with theirs:
            self.process = subprocess.Popen(
                [python, "-s", "-S", "-P", "-c", start, self.kind.config(), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=quiet,
                env=environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
            )
        try:
            self.applied = self._hear(START_SECONDS)["ready"]
        except LaneDied as error:
            self.kill()
            raise WorkFailed(
                f"the {self.kind.name} sandbox does not start with {python}; FACTORY_SANDBOX_DEBUG=1 shows why"
            ) from error

    def _hear(self, seconds: float) -> dict[str, Any]:
        self.control.settimeout(seconds)
        try:
            message = self.control.recv(1 << 16)
        except OSError as error:
            raise LaneDied(str(error)) from error
        if not message:
            raise LaneDied("the keeper ended")
        value: dict[str, Any] = json.loads(message)
        return value

    def _order(self, order: dict[str, Any]) -> socket.socket:
        """Send an order with one end of a fresh stream; gives the other."""
        ours, theirs = socket.socketpair()
        with theirs:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))]
            try:
                self.control.settimeout(START_SECONDS)
                self.control.sendmsg([json.dumps(order).encode()], rights)
            except OSError as error:
                ours.close()
                raise LaneDied(str(error)) from error
        return ours

    def check(self, job: dict[str, Any], seconds: float) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Check code: the checker's result (None if it did not survive) and how the processes ended.

        Raises:
            LaneDied: the lane ended or fell silent.
        """
        if self.stream is None or self.jobs >= JOBS_OF_A_CHECKER:
            if self.stream is not None:
                self.stream.close()
                self._hear(START_SECONDS)
            self.stream, self.jobs = self._order({}), 0
        self.jobs += 1
        limit = STRETCH * seconds + MARGIN_SECONDS
        try:
            self.stream.settimeout(limit)
            _send(self.stream, job)
            result = _receive(self.stream, time.monotonic() + limit)
        except LaneLate as error:
            raise LaneDied("silent") from error
        except LaneDied:
            self.stream.close()
            self.stream = None
            return None, self._hear(limit)
        return result, result.pop("report")

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Ask the worker; one that does not answer within `seconds` is killed, a fresh one answers the next request.

        Raises:
            LaneLate: no answer in time.
            WorkerDied: the worker ended, each time it was asked.
            LaneDied: the lane ended.
        """
        for _ in range(WORKER_ATTEMPTS):
            if self.stream is None:
                self.stream = self._order({"memory": self.kind.memory_bytes})
            deadline = time.monotonic() + seconds
            self.stream.settimeout(seconds)
            try:
                _send(self.stream, request)
                return _receive(self.stream, deadline)
            except LaneLate:
                self._replace()
                raise
            except LaneDied:
                self._replace()
        raise WorkerDied(f"the {self.kind.name} worker ended {WORKER_ATTEMPTS} times on one request")

    def _replace(self) -> None:
        """Have the keeper kill the worker and fork another."""
        if self.stream is not None:
            self.stream.close()
        self.stream = None
        self.sent.clear()
        stream = self._order({"memory": self.kind.memory_bytes})
        try:
            self._hear(START_SECONDS)
        except LaneDied:
            stream.close()
            raise
        self.stream = stream

    def kill(self) -> None:
        """End the lane and everything in it."""
        self.forget()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def forget(self) -> None:
        """Close our ends; the keeper ends by itself."""
        self.control.close()
        if self.stream is not None:
            self.stream.close()


def _send(stream: socket.socket, message: dict[str, Any]) -> None:
    body = json.dumps(message, separators=(",", ":")).encode()
    try:
        stream.sendall(b"%08x%b" % (len(body), body))
    except TimeoutError as error:
        raise LaneLate("the worker takes no request") from error
    except OSError as error:
        raise LaneDied(str(error)) from error


def _receive(stream: socket.socket, deadline: float) -> dict[str, Any]:
    try:
        size = int(_exactly(stream, HEADER, deadline), 16)
        value: dict[str, Any] = json.loads(_exactly(stream, size, deadline))
    except ValueError as error:
        raise LaneDied(f"not a message: {error}") from error
    return value


def _exactly(stream: socket.socket, size: int, deadline: float) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        left = deadline - time.monotonic()
        if left <= 0:
            raise LaneLate("no answer in time")
        stream.settimeout(left)
        try:
            part = stream.recv(min(size - len(parts), 1 << 20))
        except TimeoutError as error:
            raise LaneLate("no answer in time") from error
        except OSError as error:
            raise LaneDied(str(error)) from error
        if not part:
            raise LaneDied("the stream ended")
        parts += part
    return bytes(parts)
