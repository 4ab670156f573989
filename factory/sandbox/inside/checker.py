"""The checker process: it holds the tests and runs them, with proxies in the place of the candidate's code.

The job: `{"sources", "entry", "prelude", "setup", "tests", "main", "memory", "cpu",
"seconds", "output_bytes"}`. `prelude` is trusted
code that the tests rely on (HumanEval's prompt: its helpers must not be the candidate's), `tests` a list of texts, each
run in the same space, or of `{"input", "output"}` for whole programs. The result: `{"status", "passed", "reason",
"printed"}`; status is passed, failed, load (the code does not run), missing (it does not define the name), died, or
tests (the tests themselves are broken: the caller's fault, not the candidate's).
"""

from __future__ import annotations

import array
import builtins
import functools
import importlib
import json
import os
import select
import socket
import sys
import time
import types
from typing import Any

from . import limits
from .frames import Broken, read_frame, write_frame
from .remote import CandidateGone, Channel, Remote
from .seccomp import Filter

LONGEST_REASON = 300
MEMORY_BYTES = 1 << 30
REMEMBERED = 64
SEED = 1


class BrokenTests(Exception):
    """The tests do not compile or never call the code."""


def names_in(code: types.CodeType) -> frozenset[str]:
    """All names that a code object and those inside it look up."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_in(constant)
    return frozenset(found)


@functools.lru_cache(maxsize=REMEMBERED)
def compiled(text: str, what: str) -> tuple[types.CodeType, frozenset[str]]:
    """The code of a trusted text and the names it looks up; a group of completions meets the same tests.

    Raises:
        BrokenTests: it does not compile.
    """
    try:
        code = compile(text, f"<{what}>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BrokenTests(f"{what} do not compile: {error}") from error
    return code, names_in(code)


def check(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Load the candidate, run the tests in order up to the first failure."""
    tests = [] if job["main"] else [compiled(text, "tests") for text in job["tests"]]
    setup, set_up = compiled(job["setup"], "setup statements")
    prelude, _ = compiled(job["prelude"], "prelude")
    space: dict[str, Any] = {"__name__": "tests"}
    if job["prelude"]:
        try:
            exec(prelude, space)
        except Exception as error:
            raise BrokenTests(f"the prelude fails: {type(error).__name__}: {error}") from error
    try:
        loaded = channel.receive()
    except CandidateGone as error:
        return {"status": "load", "passed": 0, "reason": str(error)}
    if loaded[0] != "ready":
        return {"status": "load", "passed": 0, "reason": f"{loaded[1]}: {loaded[2]}"}
    if job["main"]:
        return _run_programs(job["tests"], channel)
    entry = job["entry"]
    if entry and entry not in loaded[1]:
        return {"status": "missing", "passed": 0, "reason": f"the code does not define {entry}"}
    wanted = set_up.union({entry}, *(names for _, names in tests))
    for name, kind in loaded[1].items():
        ours = name != entry and (hasattr(builtins, name) or name in space)
        if name not in wanted or ours:
            continue
        if kind == "m":
            if name in sys.stdlib_module_names:
                space[name] = importlib.import_module(name)  # our own: of a module only the name is believed
        else:
            space[name] = Remote(channel, name) if kind in ("f", "c") else channel.ask("global", name)[0]
    if entry:
        space["candidate"] = space[entry] = Remote(channel, entry)
    own = bool(set_up & loaded[1].keys())
    return _run_tests(setup, [code for code, _ in tests], space, channel, uses_code=own)


def _run_tests(
    setup: types.CodeType, tests: list[types.CodeType], space: dict[str, Any], channel: Channel, *, uses_code: bool
) -> dict[str, Any]:
    for place, test in enumerate([setup, *tests]):
        try:
            exec(test, space)
        except CandidateGone as error:
            return {"status": "died", "passed": max(0, place - 1), "reason": str(error)}
        except BaseException as error:
            if not place and not uses_code and not isinstance(error, NameError):  # a name may be the code's to define
                raise BrokenTests(f"the set-up fails: {type(error).__name__}: {error}") from error
            if not channel.gone:
                what = f"test {place}" if place else "the set-up"
                reason = f"{what} fails: {type(error).__name__}: {str(error)[:LONGEST_REASON]}"
                return {"status": "failed", "passed": max(0, place - 1), "reason": reason}
        if channel.gone:
            return {"status": "died", "passed": max(0, place - 1), "reason": channel.gone}
    if not channel.calls:
        raise BrokenTests("the tests never call the code")
    return {"status": "passed", "passed": len(tests), "reason": "all tests pass"}


def _run_programs(tests: list[dict[str, str]], channel: Channel) -> dict[str, Any]:
    for place, test in enumerate(tests):
        try:
            printed = channel.ask("run", test["input"])[0]
        except CandidateGone as error:
            return {"status": "died", "passed": place, "reason": str(error)}
        except Exception as error:  # noqa: BLE001 (what the program raised)
            reason = f"test {place + 1} fails: {type(error).__name__}: {str(error)[:LONGEST_REASON]}"
            return {"status": "failed", "passed": place, "reason": reason}
        if type(printed) is not str or _lines(printed) != _lines(test["output"]):
            return {"status": "failed", "passed": place, "reason": f"test {place + 1} fails: another output"}
    return {"status": "passed", "passed": len(tests), "reason": "all tests pass"}


def _lines(text: str) -> list[str]:
    """What of an output counts: its lines without blanks at their ends and empty lines at the end."""
    lines = [line.rstrip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def main(stream: int, desk: socket.socket, filters: Filter | None, alive: select.poll) -> None:
    """Check one job after the other: the job from the stream, a candidate from the keeper's desk. Never returns."""
    import random  # the keeper has loaded it, in its own way

    limits.die_with(alive)
    limits.close_others(*sorted((stream, desk.fileno())))
    limits.set_limits(MEMORY_BYTES, 1 << 30)
    if filters is not None:
        filters.install()
    ours = dict(builtins.__dict__)
    try:
        while True:
            job = read_frame(stream, 1 << 30)
            random.seed(SEED)  # a verdict depends on the job alone, not on the jobs before it
            result = _one(job, desk)
            if builtins.__dict__ != ours:
                builtins.__dict__.clear()
                builtins.__dict__.update(ours)
            write_frame(stream, {**result, "total": len(job["tests"])})
    except (Broken, OSError):
        pass
    os._exit(0)


def _one(job: dict[str, Any], desk: socket.socket) -> dict[str, Any]:
    """One job: the result with the keeper's report in it."""
    before = time.process_time()
    start = time.monotonic()
    desk.send(json.dumps({"seconds": job["seconds"]}).encode())
    descriptors = array.array("i")
    _, ancillary, _, _ = desk.recvmsg(16, socket.CMSG_SPACE(2 * descriptors.itemsize))
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    candidate, output = descriptors
    channel = Channel(candidate, output, job["output_bytes"])
    try:
        write_frame(candidate, {key: job[key] for key in ("sources", "memory", "cpu", "main")}, 1 << 30)
        result = check(job, channel)
        channel.finish()
    except BrokenTests as error:
        result = {"status": "tests", "passed": 0, "reason": str(error)[: 2 * LONGEST_REASON]}
    except (MemoryError, RecursionError):
        result = {"status": "died", "passed": 0, "reason": "the tests could not hold what the code returned"}
    except Broken as error:
        result = {"status": "died", "passed": 0, "reason": f"the code ended: {error}"}
    os.close(candidate)
    os.close(output)
    desk.send(b"done")
    report = json.loads(desk.recv(4096))
    report["cpu"] += time.process_time() - before
    report["seconds"] = time.monotonic() - start
    printed = channel.printed.decode("utf-8", "replace").encode()[: job["output_bytes"]].decode("utf-8", "ignore")
    return {**result, "printed": printed, "report": report}
