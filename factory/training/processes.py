"""One training in several processes on this machine, as `torchrun` would start them, and as one job to the store."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json, write_json
from factory.core.discover import user_root
from factory.core.errors import BadInput, WorkFailed
from factory.core.progress import Report

CALL, RESULT = "ranks.json", "result.json"
TAIL = 2000


def train_in_processes(count: int, spec: dict[str, Any], folders: tuple[Path, Path], report: Report) -> dict[str, Any]:
    """Train an adapter by `spec` in `count` processes; gives its part of the card.

    The first that fails ends all; the next run goes on from the last whole checkpoint.

    Raises:
        BadInput, WorkFailed: what a rank failed with.
    """
    out, state = folders
    (state / RESULT).unlink(missing_ok=True)
    write_json(state / CALL, {"spec": spec, "out": str(out), "state": str(state), "user_root": str(user_root())})
    port = _free_port()
    started: list[tuple[subprocess.Popen[bytes], Connection]] = []
    try:
        for number in range(count):
            started.append(_start(state, {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count}, port))
        _listen(state, dict(enumerate(started)), report)
    finally:
        for process, pipe in started:
            pipe.close()
            process.kill()
            process.wait()
    card: dict[str, Any] = read_json(state / RESULT)
    return card


def _start(state: Path, place: dict[str, int], port: int) -> tuple[subprocess.Popen[bytes], Connection]:
    ours, theirs = socket.socketpair()
    network = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_WORLD_SIZE": place["WORLD_SIZE"]}
    with theirs, (state / f"rank{place['RANK']}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "factory.training.rank", str(state / CALL), str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **{name: str(value) for name, value in {**place, **network}.items()}},
        )
    return process, Connection(ours.detach())


def _listen(state: Path, running: dict[int, tuple[subprocess.Popen[bytes], Connection]], report: Report) -> None:
    """Until all ranks have said that they are done."""
    while running:
        pipes = {pipe: number for number, (_, pipe) in running.items()}
        for pipe in wait(list(pipes)):
            number = pipes[pipe]  # type: ignore[index]
            try:
                kind, *rest = json.loads(running[number][1].recv_bytes())
            except (EOFError, ConnectionError):
                log = (state / f"rank{number}.log").read_text(encoding="utf-8", errors="replace").strip()
                code = running[number][0].wait()
                raise WorkFailed(
                    f"process {number} of the training ended with {code}: {log[-TAIL:].rpartition(chr(10))[2]}"
                ) from None
            if kind == "progress":
                report(*rest)
            elif kind == "failed":
                code, text = rest
                raise (BadInput if code == BadInput.exit_code else WorkFailed)(text)
            else:
                del running[number]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
