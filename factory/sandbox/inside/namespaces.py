"""Namespaces: no network, no shared memory with others, and a file tree that holds only what may be read.

Everything here is allowed to ordinary users where the kernel allows user namespaces at all; Ubuntu 24.04's AppArmor
and Docker's default profile do not. It is first tried in a child, so that a refusal half-way leaves no half state.
"""
# pathlib is not loaded here: what the keeper holds, every check pays for
# ruff: noqa: PTH102, PTH103, PTH106, PTH110, PTH112, PTH120, PTH123

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from .syscalls import call, clone, libc

NEWPID = 0x20000000
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _BIND, _REC, _PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
_DETACH, _SIGCHLD = 2, 17
ROOT = "/tmp"
SCRATCH = "/scratch"
SCRATCH_MIB = 12


def _check(result: int, what: str) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    arguments = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _check(libc.mount(*arguments[:3], ctypes.c_ulong(flags), arguments[3]), f"mount {target}")


def available(paths: Sequence[str]) -> str:
    """Why namespaces cannot be used on this machine; "" if they can. Tried for real in a child."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = b""
        try:
            enter(paths)
            inner = clone(NEWPID | _SIGCHLD)
            if inner == 0:
                os._exit(0)
            os.waitpid(inner, 0)
        except OSError as error:
            said = str(error).encode()
        os.write(write, said[:500])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        reason = pipe.read().decode(errors="replace")
    os.waitpid(pid, 0)
    return reason


def enter(paths: Sequence[str]) -> None:
    """Move this process into its own namespaces and a root that holds only `paths` and an empty `/scratch`.

    Raises:
        OSError: the kernel or a security module refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    _check(libc.unshare(ctypes.c_int(_NEWUSER | _NEWNS | _NEWNET | _NEWIPC | _NEWUTS)), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _mount("none", "/", None, _REC | _PRIVATE)
    kept = [(path, os.open(path, os.O_PATH)) for path in paths if os.path.exists(path)]
    _mount("tmpfs", ROOT, "tmpfs", _NOSUID | _NODEV, "size=1m,nr_inodes=4k,mode=755")
    for path, descriptor in kept:
        _show(path, descriptor)
    scratch = ROOT + SCRATCH
    os.mkdir(scratch)
    _mount("tmpfs", scratch, "tmpfs", _NOSUID | _NODEV, f"size={SCRATCH_MIB}m,nr_inodes=256,mode=700")
    old = ROOT + "/.old"
    os.mkdir(old)
    call("pivot_root", ROOT.encode(), old.encode())
    os.chdir("/")
    _check(libc.umount2(b"/.old", ctypes.c_int(_DETACH)), "umount")
    os.rmdir("/.old")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _show(path: str, descriptor: int) -> None:
    """Bind what a descriptor holds at the same path below the new root."""
    target = ROOT + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(f"/proc/self/fd/{descriptor}"):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        _write(target, "")
    _mount(f"/proc/self/fd/{descriptor}", target, None, _BIND | _REC)
    os.close(descriptor)
