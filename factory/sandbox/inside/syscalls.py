"""System call numbers of x86-64 and aarch64, and the few calls that Python has no function for.

Sources: asm/unistd_64.h and asm-generic/unistd.h of Linux 6. Standard library only: this runs inside the sandbox.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINE = {"AMD64": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())

# name x86-64 aarch64; what a program of ours may call, whatever the arguments
_HARMLESS = """
read 0 63 | write 1 64 | open 2 - | openat 257 56 | close 3 57 | stat 4 - | lstat 6 - | fstat 5 80
newfstatat 262 79 | statx 332 291 | lseek 8 62 | mmap 9 222 | mprotect 10 226 | munmap 11 215 | brk 12 214
rt_sigaction 13 134 | rt_sigprocmask 14 135 | rt_sigreturn 15 139 | rt_sigpending 127 136
rt_sigsuspend 130 133 | rt_sigtimedwait 128 137 | pread64 17 67 | pwrite64 18 68 | readv 19 65 | writev 20 66
preadv 295 69 | pwritev 296 70 | access 21 - | faccessat 269 48 | faccessat2 439 439 | pipe 22 - | pipe2 293 59
select 23 - | pselect6 270 72 | poll 7 - | ppoll 271 73 | epoll_create 213 - | epoll_create1 291 20
epoll_ctl 233 21 | epoll_wait 232 - | epoll_pwait 281 22 | eventfd2 290 19 | sched_yield 24 124
sched_getaffinity 204 123 | getcpu 309 168 | mremap 25 216 | madvise 28 233 | dup 32 23 | dup2 33 -
dup3 292 24 | nanosleep 35 101 | clock_nanosleep 230 115 | clock_gettime 228 113 | clock_getres 229 114
getitimer 36 102 | setitimer 38 103 | alarm 37 - | pause 34 - | getpid 39 172 | getppid 110 173 | gettid 186 178
sendfile 40 71 | sendto 44 206 | recvfrom 45 207 | sendmsg 46 211 | recvmsg 47 212 | shutdown 48 210
getsockname 51 204 | getpeername 52 205 | getsockopt 55 209 | setsockopt 54 208 | exit 60 93 | exit_group 231 94
wait4 61 260 | waitid 247 95 | uname 63 160 | flock 73 32 | fsync 74 82 | fdatasync 75 83 | ftruncate 77 46
fallocate 285 47 | getdents 78 - | getdents64 217 61 | getcwd 79 17 | chdir 80 49 | fchdir 81 50 | rename 82 -
renameat 264 38 | renameat2 316 276 | mkdir 83 - | mkdirat 258 34 | rmdir 84 - | unlink 87 - | unlinkat 263 35
readlink 89 - | readlinkat 267 78 | umask 95 166 | gettimeofday 96 169 | time 201 - | getrlimit 97 163
getrusage 98 165 | sysinfo 99 179 | times 100 153 | getuid 102 174 | getgid 104 176 | geteuid 107 175
getegid 108 177 | getresuid 118 148 | getresgid 120 150 | getgroups 115 158 | getpgrp 111 - | getpgid 121 155
getsid 124 156 | getpriority 140 141 | futex 202 98 | set_tid_address 218 96 | set_robust_list 273 99
get_robust_list 274 100 | rseq 334 293 | arch_prctl 158 - | sigaltstack 131 132 | statfs 137 43 | fstatfs 138 44
fadvise64 221 223 | membarrier 324 283 | getrandom 318 278 | restart_syscall 219 128 | close_range 436 436
copy_file_range 326 285 | msync 26 227 | mincore 27 232
"""

# allowed with conditions on the arguments, or called by the keeper alone
_SPECIAL = """
clone 56 220 | clone3 435 435 | kill 62 129 | tkill 200 130 | tgkill 234 131 | ioctl 16 29 | prctl 157 167
prlimit64 302 261 | fcntl 72 25 | socketpair 53 199 | seccomp 317 277 | capset 126 91
landlock_create_ruleset 444 444 | landlock_add_rule 445 445 | landlock_restrict_self 446 446
pivot_root 155 41 | pidfd_open 434 434 | setrlimit 160 164

"""


def _table(text: str) -> dict[str, int]:
    column = 2 if MACHINE == "aarch64" else 1
    rows = [entry.split() for line in text.strip().splitlines() for entry in line.split("|")]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


HARMLESS = _table(_HARMLESS)
SPECIAL = _table(_SPECIAL)

libc = ctypes.CDLL(None, use_errno=True)

# What every new process calls: with types set once, without ctypes' own errno and without letting go of the
# interpreter's lock, a call writes to a third of the memory pages, and each written page is copied after a fork.
_here = ctypes.PyDLL(None)


def _prepared(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_here, name)
    function.restype, function.argtypes = result, arguments
    return function


_long = ctypes.c_long
_prctl = _prepared("prctl", ctypes.c_int, ctypes.c_int, *[_long] * 4)
_seccomp = _prepared("syscall", _long, _long, _long, _long, ctypes.c_void_p)
_here = ctypes.PyDLL(None)  # its functions are other objects: `syscall` has two signatures
_clone = _prepared("syscall", _long, *[_long] * 6)
_before_fork = _prepared("PyOS_BeforeFork", None)
_after_fork_child = _prepared("PyOS_AfterFork_Child", None)
_after_fork_parent = _prepared("PyOS_AfterFork_Parent", None)
_errno = _prepared("__errno_location", ctypes.POINTER(ctypes.c_int)) if platform.system() == "Linux" else None


def _refused(what: str) -> OSError:
    """The error of the prepared call that has just failed."""
    number = _errno().contents.value if _errno else 0
    return OSError(number, f"{what}: {os.strerror(number)}")


def call(name: str, *arguments: object) -> int:
    """A raw system call.

    Raises:
        OSError: the kernel refuses it.
    """
    result = libc.syscall(SPECIAL[name], *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return int(result)


def prctl(option: int, value: int = 0) -> None:
    """prctl(2) with one argument.

    Raises:
        OSError: the kernel refuses it.
    """
    if _prctl(option, value, 0, 0, 0) < 0:
        raise _refused(f"prctl({option})")


def seccomp(program: int) -> None:
    """Put the filter at an address on this thread, seccomp(2).

    Raises:
        OSError: the kernel has no seccomp filters, or no-new-privileges is not set.
    """
    if _seccomp(SPECIAL["seccomp"], 1, 0, program) < 0:
        raise _refused("seccomp")


def clone(flags: int) -> int:
    """fork(2) into new namespaces: the child's id in the parent, 0 in the child.

    Python is told of the fork as os.fork would; the lock of the interpreter is never let go in between.

    Raises:
        OSError: the kernel refuses it.
    """
    _before_fork()
    pid = _clone(SPECIAL["clone"], flags, 0, 0, 0, 0)
    if pid == 0:
        _after_fork_child()
        return 0
    error = _refused("clone") if pid < 0 else None
    _after_fork_parent()
    if error is not None:
        raise error
    return int(pid)
