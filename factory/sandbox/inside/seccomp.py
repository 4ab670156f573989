"""The system calls that untrusted code may make: a short list, all others fail with EPERM.

What Landlock cannot stop is stopped here: sockets (UDP, unix paths), signals and limits of other processes, new
processes, memory that RLIMIT_AS does not count (memfd, SysV), modes, owners and times of files. clone3 does not exist
(ENOSYS), so that glibc falls back to clone, whose flags a filter can read. Source: seccomp(2), classic BPF.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from .syscalls import AUDIT_ARCH, HARMLESS, MACHINE, SPECIAL, call

_LOAD, _EQUAL, _SET, _ABOVE, _RETURN = 0x20, 0x15, 0x45, 0x25, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_NUMBER, _ARCH = 0, 4
_OWN_PID = 0x7FFFFFF0  # stands for the caller's own id until it is known
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIO(N)CLEX
_PRCTLS = (15, 16, 3, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_SET_VMA
_FCNTLS_DENIED = (1031, 8, 10, 15, 1024, 1026)  # F_SETPIPE_SZ, F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY
_CLONE_THREAD = 0x10000
_AF_UNIX = 1

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


def program() -> list[Instruction]:
    """The filter, with a placeholder for the caller's own process id."""
    allow: Instruction = (_RETURN, 0, 0, _ALLOW)
    deny = _fails_with(errno.EPERM)
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, AUDIT_ARCH[MACHINE]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for number in HARMLESS.values():
        code += [(_EQUAL, 0, 1, number), allow]
    code += _when("clone", [_argument(0), (_SET, 0, 1, _CLONE_THREAD), allow, deny])
    code += _when("clone3", [_fails_with(errno.ENOSYS)])
    for name in ("kill", "tkill", "tgkill"):
        code += _when(name, _one_of(0, (_OWN_PID,), errno.EPERM))
    code += _when("ioctl", _one_of(1, _IOCTLS, errno.ENOTTY))
    code += _when("prctl", _one_of(0, _PRCTLS, errno.EPERM))
    code += _when("socketpair", _one_of(0, (_AF_UNIX,), errno.EPERM))
    no_new_limit: list[Instruction] = [
        _argument(0), (_EQUAL, 1, 0, 0), deny,
        _argument(2), (_EQUAL, 1, 0, 0), deny,
        _argument(2, high=True), (_EQUAL, 1, 0, 0), deny, allow,
    ]  # fmt: skip
    code += _when("prlimit64", no_new_limit)
    not_denied: list[Instruction] = [_argument(1)]
    for command in _FCNTLS_DENIED:
        not_denied += [(_EQUAL, 0, 1, command), deny]
    code += _when("fcntl", [*not_denied, allow])
    return [*code, deny]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def assembled() -> bytes:
    """The filter as the kernel reads it, made once in the keeper."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program())


def install(code: bytes, pid: int) -> None:
    """Put the filter on this thread, for good.

    Raises:
        OSError: the kernel has no seccomp filters, or no-new-privileges is not set.
    """
    code = code.replace(struct.pack("=I", _OWN_PID), struct.pack("=I", pid))
    buffer = ctypes.create_string_buffer(code, len(code))
    filters = _Program(len(code) // 8, ctypes.addressof(buffer))
    call("seccomp", ctypes.c_uint(1), ctypes.c_uint(0), ctypes.byref(filters))
