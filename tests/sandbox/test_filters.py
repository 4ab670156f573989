"""The seccomp filters, run on paper for both architectures: what is allowed, and what is not."""

import errno
import importlib
import struct

import pytest

from factory.sandbox.inside import seccomp, syscalls

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
OWN = 4242


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request, monkeypatch):
    """The two modules as they are on that machine."""
    with monkeypatch.context() as patch:
        patch.setattr("platform.machine", lambda: request.param)
        importlib.reload(syscalls)
        importlib.reload(seccomp)
        yield request.param
    importlib.reload(syscalls)
    importlib.reload(seccomp)


def judged(program, number: int, arguments=(), arch: int | None = None) -> int:
    """Run classic BPF on one system call; gives the filter's decision."""
    arch = syscalls.AUDIT_ARCH[syscalls.MACHINE] if arch is None else arch
    data = struct.pack("=IIQ6Q", number, arch, 0, *(list(arguments) + [0] * 6)[:6])
    accumulator, at = 0, 0
    while True:
        code, true, false, value = program[at]
        value = OWN if value == 0x7FFFFFF0 else value
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x15:
            at += true if accumulator == value else false
        elif code == 0x45:
            at += true if accumulator & value else false
        else:
            assert code == 0x06
            return value


def both(name_or_number, arguments=()) -> str:
    """The stricter of the two filters' decisions, as the kernel takes it."""
    tables = {**syscalls.HARMLESS, **syscalls.SPECIAL}
    number = tables[name_or_number] if isinstance(name_or_number, str) else name_or_number
    answers = [judged(program(), number, arguments) for program in (seccomp.outer_program, seccomp.inner_program)]
    denied = [answer for answer in answers if answer != ALLOW]
    return "allow" if not denied else "kill" if KILL in denied else errno.errorcode[denied[0] & 0xFFFF]


def test_jumps_fit_and_programs_end(machine) -> None:
    for program in (seccomp.outer_program(), seccomp.inner_program()):
        assert len(program) < 4096
        assert all(0 <= true < 256 and 0 <= false < 256 for _, true, false, _ in program)
        assert program[-1][0] == 0x06
        assert len(seccomp.assembled(program)) == 8 * len(program)


def test_decisions(machine) -> None:
    for name in ("read", "write", "openat", "mmap", "futex", "exit_group", "clock_gettime", "getrandom"):
        assert both(name) == "allow"
    thread, fork = 0x3D0F00, 17
    assert both("clone", [thread]) == "allow"
    assert both("clone", [fork]) == "EPERM"
    assert both("clone", [0x20000000 | fork]) == "EPERM"
    assert both("clone3") == "ENOSYS"
    assert both("kill", [OWN, 9]) == "allow"
    assert both("kill", [1, 9]) == both("kill", [OWN + 1, 9]) == both("tgkill", [7, 7, 9]) == "EPERM"
    assert both("kill", [2**32 - 1, 9]) == "EPERM"
    assert both("prlimit64", [0, 7, 0, 1]) == "allow"
    assert (
        both("prlimit64", [0, 7, 1 << 40, 0]) == both("prlimit64", [0, 7, 5, 0]) == both("prlimit64", [3, 7]) == "EPERM"
    )
    assert both("prctl", [15]) == "allow"
    assert both("prctl", [1, 0]) == both("prctl", [38, 1]) == both("prctl", [22, 1]) == "EPERM"
    assert both("ioctl", [0, 0x5401]) == "allow"
    assert both("ioctl", [0, 0x5412]) == "ENOTTY"  # TIOCSTI
    assert both("fcntl", [0, 1]) == "allow"
    assert both("fcntl", [0, 1031]) == "EPERM"
    assert both("socketpair", [1]) == "allow"
    assert both("socketpair", [2]) == "EPERM"
    for name in ("seccomp", "pidfd_open", "setrlimit", "capset", "pivot_root"):
        assert both(name) == "EPERM"


def test_forbidden_numbers(machine) -> None:
    """Sockets, programs, modes, tracing, mounts, shared memory, rings and keys, by their own numbers."""
    forbidden = {
        "x86_64": [41, 42, 49, 57, 58, 59, 90, 91, 92, 101, 105, 141, 161, 165, 203, 272, 280, 310, 319, 321, 322, 323,
                   425, 434, 437, 29, 30, 86, 88, 133, 188, 250, 0x40000000, 0x40000000 + 57],
        "aarch64": [198, 203, 200, 221, 281, 52, 53, 54, 117, 146, 140, 40, 51, 122, 97, 88, 270, 279, 280, 282, 425,
                    434, 437, 194, 196, 36, 37, 5, 219],
    }[machine]  # fmt: skip
    assert [number for number in forbidden if both(number) != "EPERM"] == []


def test_a_foreign_architecture_is_killed(machine) -> None:
    for program in (seccomp.outer_program(), seccomp.inner_program()):
        assert judged(program, 0, arch=0x40000003) == KILL


def test_numbers_are_those_of_this_machine() -> None:
    """Against the C headers, where they are installed."""
    import re
    from pathlib import Path

    headers = [path for path in Path("/usr/include").glob("*/asm/unistd_64.h") if syscalls.MACHINE == "x86_64"]
    if not headers:
        pytest.skip("no C headers here")
    known = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", headers[0].read_text())}
    ours = {**syscalls.HARMLESS, **syscalls.SPECIAL}
    assert {name: known.get(name, number) for name, number in ours.items()} == ours
