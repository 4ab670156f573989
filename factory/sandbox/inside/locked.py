"""How a keeper locks itself up, forks, and talks to its parent."""
# pathlib is not loaded here: what the keeper holds, every check pays for
# ruff: noqa: PTH108, PTH112, PTH114, PTH208

from __future__ import annotations

import array
import json
import os
import select
import socket
import sys
from collections.abc import Callable
from typing import Any

from . import landlock, limits, namespaces, seccomp
from .syscalls import clone

_SIGCHLD = 17


class Locked:
    """What the keeper holds: the control socket, the filter, and how it forks."""

    def __init__(self, config: dict[str, Any], control: int) -> None:
        self.config = config
        self.control = socket.socket(fileno=control)
        watched, self._held_open = os.pipe()
        self.alive = select.poll()
        self.alive.register(watched, select.POLLIN)
        self.applied: dict[str, str] = {}
        self.filters: seccomp.Filter | None = None
        self.clone_flags = 0
        self.scratch = ""

    def lock_up(self) -> None:
        """Apply every layer that this kernel grants; what it does not is noted, with the reason."""
        limits.no_new_privileges()
        limits.set_common_limits()
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
        seccomp.Filter(seccomp.outer_program()).install()
        self.filters = seccomp.Filter(seccomp.inner_program())

    def fork(self, run: Callable[[], None], *, own_ids: bool = True) -> int:
        """A child that runs a function which never returns; in a process namespace of its own where there are any."""
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
