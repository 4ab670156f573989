"""Landlock: which files a process and its children may touch. Needs no privilege; cannot be undone.

Source: Documentation/userspace-api/landlock.rst. Everything the running kernel can restrict is restricted: files,
TCP (ABI 4), device ioctls (5), abstract sockets and signals to the outside (6).
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from .syscalls import call

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL_BASE = (1 << 13) - 1
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def abi() -> int:
    """The version of Landlock in the running kernel; 0 without it."""
    try:
        return call("landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except OSError:
        return 0


def restrict(readable: Iterable[str], writable: Iterable[str]) -> int:
    """Allow reading below `readable`, everything below `writable`, and nothing else; gives the ABI used.

    Raises:
        OSError: there is no Landlock, or no-new-privileges is not set.
    """
    version = abi()
    if version < 1:
        raise OSError("no Landlock in this kernel")
    files = _ALL_BASE | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    files |= _IOCTL_DEV if version >= 5 else 0
    rules = _Ruleset(files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    descriptor = call("landlock_create_ruleset", ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint(0))
    try:
        for paths, access in ((readable, _READ_FILE | _READ_DIR), (writable, files & ~_EXECUTE)):
            for path in paths:
                _add(descriptor, path, access)
        call("landlock_restrict_self", ctypes.c_int(descriptor), ctypes.c_uint(0))
    finally:
        os.close(descriptor)
    return version


def _add(ruleset: int, path: str, access: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            access &= _FILE_ONLY
        rule = _PathRule(access, parent)
        call("landlock_add_rule", ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint(0))
    finally:
        os.close(parent)
