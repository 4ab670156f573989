"""Python code, judged by tests. First version: a forked child of a small server runs code and tests together.

reference: `{"tests": asserts, "entry_point": name, "setup": code, "style": "tag" | "plain"}`.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from factory.core.records import Verdict
from factory.verifiers import _extract

_SERVER = r"""
import json, os, resource, select, sys, time, signal
jobs = os.fdopen(0, "rb", 0)
while True:
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 1 << 16)
        if not part:
            os._exit(0)
        line += part
    job = json.loads(line)
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        null = os.open(os.devnull, os.O_RDWR)
        out = os.dup(1)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(out)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (11, 11))
        said = b"n"
        try:
            space = {"__name__": "candidate"}
            exec(compile(job["code"], "<candidate>", "exec"), space)
            said = b"r"
            exec(compile(job["setup"] + "\n" + job["tests"], "<tests>", "exec"), space)
            said = b"p"
        except BaseException as error:
            said += type(error).__name__.encode()[:80]
        os.write(write, said)
        os._exit(0)
    os.close(write)
    ready = select.select([read], [], [], job["seconds"])[0]
    said = os.read(read, 100) if ready else b"t"
    os.close(read)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.write(1, json.dumps(said.decode()).encode() + b"\n")
"""

_lock = threading.Lock()
_server: subprocess.Popen[bytes] | None = None
_owner = 0


def _ask(job: dict[str, Any]) -> str:
    global _server, _owner
    with _lock:
        if _server is None or _owner != os.getpid() or _server.poll() is not None:
            _server = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _SERVER],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, start_new_session=True,
            )  # fmt: skip
            _owner = os.getpid()
            atexit.register(_server.kill)
        assert _server.stdin is not None and _server.stdout is not None
        _server.stdin.write(json.dumps(job).encode() + b"\n")
        _server.stdin.flush()
        return str(json.loads(_server.stdout.readline()))


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the code passes all tests."""
    start = time.perf_counter()
    text = _extract.outside_reasoning(completion)
    code = _extract.answer_tag(text) if reference.get("style") == "tag" else (_extract.last_fenced_block(text) or text)
    if code is None:
        return Verdict.of(False, "no code found", seconds=time.perf_counter() - start, format=0.0, runs=0.0)
    job = {"code": code, "setup": reference.get("setup", ""), "tests": reference["tests"], "seconds": 10}
    said = _ask(job)
    kinds = {"p": "all tests pass", "r": "a test fails: ", "n": "the code does not run: ", "t": "timed out", "": "died"}
    reason = kinds[said[:1]] + said[1:]
    seconds = time.perf_counter() - start
    return Verdict.of(said == "p", reason, seconds=seconds, format=1.0, runs=float(said[:1] in ("r", "p")))
