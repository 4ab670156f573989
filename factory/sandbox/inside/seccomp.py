"""The system calls that untrusted code may make: a short list, all others fail with EPERM.

What Landlock cannot stop is stopped here: sockets (UDP, unix paths), signals and limits of other processes, new
processes, memory that RLIMIT_AS does not count (memfd, SysV), modes, owners and times of files. clone3 does not exist
(ENOSYS), so that glibc falls back to clone, whose flags a filter can read. Source: seccomp(2), classic BPF.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from .syscalls import AUDIT_ARCH, HARMLESS, MACHINE, SPECIAL, seccomp

_LOAD, _EQUAL, _SET, _ABOVE, _RETURN = 0x20, 0x15, 0x45, 0x25, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NUMBER, _ARCH = 0, 4
_OWN_PID = 0x7FFFFFF0  # stands for the caller's own id until it is known
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIO(N)CLEX
_PRCTLS = (15, 16, 3, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA
_FCNTLS_DENIED = (1031, 8, 10, 15, 1024, 1026)  # F_SETPIPE_SZ, F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY
_CLONE_THREAD = 0x10000
_AF_UNIX = 1
_BOTH = ("clone", "kill", "tkill", "tgkill", "prctl", "prlimit64")  # the inner filter looks at their arguments
_KEEPERS = ("seccomp", "pidfd_open", "setrlimit")

_OWN = struct.pack("=I", _OWN_PID)

Instruction = tuple[int, int, int, int]


def _fails_with(number: int) -> Instruction:
    return (_RETURN, 0, 0, 0x00050000 | number)


def _argument(place: int, *, high: bool = False) -> Instruction:
    return (_LOAD, 0, 0, 16 + 8 * place + (4 if high else 0))


def _when(name: str, body: list[Instruction]) -> list[Instruction]:
    """Instructions that run for one system call only; the number is in the accumulator before and not after."""
    return [(_EQUAL, 0, len(body), SPECIAL[name]), *body] if name in SPECIAL else []


def _one_of(place: int, values: tuple[int, ...], otherwise: int) -> list[Instruction]:
    body: list[Instruction] = [_argument(place)]
    for value in values:
        body += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*body, _fails_with(otherwise)]


def outer_program() -> list[Instruction]:
    """The long filter, put on the keeper once: harmless calls, and the few that a keeper needs, with any arguments."""
    allow: Instruction = (_RETURN, 0, 0, _ALLOW)
    code = [*_start()]
    for number in [*HARMLESS.values(), *(SPECIAL[name] for name in _BOTH + _KEEPERS if name in SPECIAL)]:
        code += [(_EQUAL, 0, 1, number), allow]
    code += _when("clone3", [_fails_with(errno.ENOSYS)])
    code += _when("ioctl", _one_of(1, _IOCTLS, errno.ENOTTY))
    code += _when("socketpair", _one_of(0, (_AF_UNIX,), errno.EPERM))
    not_denied: list[Instruction] = [_argument(1)]
    for command in _FCNTLS_DENIED:
        not_denied += [(_EQUAL, 0, 1, command), _fails_with(errno.EPERM)]
    code += _when("fcntl", [*not_denied, allow])
    return [*code, _fails_with(errno.EPERM)]


def inner_program() -> list[Instruction]:
    """The short filter, put on every process forked by the keeper; what it lets pass the long one still judges.

    Short because the kernel tries a new filter on every call number there is: the long one costs half a millisecond.
    """
    allow: Instruction = (_RETURN, 0, 0, _ALLOW)
    deny = _fails_with(errno.EPERM)
    code = [*_start()]
    for name in _KEEPERS:
        code += _when(name, [deny])
    code += _when("clone", [_argument(0), (_SET, 0, 1, _CLONE_THREAD), allow, deny])
    for name in ("kill", "tkill", "tgkill"):
        code += _when(name, _one_of(0, (_OWN_PID,), errno.EPERM))
    code += _when("prctl", _one_of(0, _PRCTLS, errno.EPERM))
    code += _when("prlimit64", [
        _argument(0), (_EQUAL, 1, 0, 0), deny,
        _argument(2), (_EQUAL, 1, 0, 0), deny,
        _argument(2, high=True), (_EQUAL, 1, 0, 0), deny, allow,
    ])  # fmt: skip
    return [*code, allow]


def _start() -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, AUDIT_ARCH[MACHINE]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def assembled(program: list[Instruction]) -> bytes:
    """A filter as the kernel reads it."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


class Filter:
    """A filter, assembled once in the keeper and put on each process that it forks."""

    def __init__(self, program: list[Instruction]) -> None:
        self._code = assembled(program)
        self._first = _Program(len(program), self._code.replace(_OWN, struct.pack("=I", 1)))
        self._address = ctypes.addressof(self._first)

    def install(self) -> None:
        """Put the filter on this thread, for good.

        Raises:
            OSError: the kernel has no seccomp filters, or no-new-privileges is not set.
        """
        pid = os.getpid()  # 1 in a process namespace of one's own
        if pid == 1:
            seccomp(self._address)
            return
        ready = _Program(len(self._code) // 8, self._code.replace(_OWN, struct.pack("=I", pid)))
        seccomp(ctypes.addressof(ready))
