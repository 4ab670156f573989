"""Limits of one process: memory, CPU, files, and that it dies with the keeper."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import struct

from .syscalls import call, prctl

_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = 9
FILE_BYTES = 8 << 20
OPEN_FILES = 64


def no_new_privileges() -> None:
    """Nothing this process starts can gain rights; Landlock and seccomp ask for it."""
    prctl(_NO_NEW_PRIVS, 1)


def hide_memory() -> None:
    """No process of the same user may read or trace this one."""
    prctl(_DUMPABLE, 0)


def die_with(alive: select.poll) -> None:
    """Die when the keeper does; `alive` looks at the read end of a pipe that only the keeper holds open."""
    prctl(_PDEATHSIG, _SIGKILL)
    if alive.poll(0):
        os._exit(0)


def set_common_limits() -> None:
    """What holds for the keeper and all it forks: file size, open files, no core dumps."""
    for which, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        _lower(which, value)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def set_limits(memory_bytes: int, cpu_seconds: int) -> None:
    """Cap address space and CPU time; the seccomp filter then keeps all limits from being raised."""
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_CPU, cpu_seconds)


def _lower(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (limit, limit))


def drop_capabilities(*, keep_admin: bool) -> None:
    """Give up every capability, root's too; `keep_admin` keeps CAP_SYS_ADMIN, which new process namespaces ask for and
    which in a user namespace of our own means nothing outside it."""
    admin = 1 << 21 if keep_admin else 0
    header = ctypes.create_string_buffer(struct.pack("=II", 0x20080522, 0))
    data = ctypes.create_string_buffer(struct.pack("=6I", admin, admin, 0, 0, 0, 0))
    call("capset", header, data)


def close_others(*keep: int) -> None:
    """Close every descriptor but the standard ones and `keep`, named in ascending order."""
    low = 3
    for descriptor in keep:
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, 1 << 16)
