"""Where jobs run: a few worker processes on this machine, each job as soon as what it needs is finished."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Protocol

from factory.core.errors import BadInput, WorkFailed
from factory.engine.plan import STAGES, Job
from factory.engine.worker import thread_settings
from factory.store.store import Store


class Watcher(Protocol):
    """Whoever shows how the jobs go."""

    def started(self, job: Job) -> None:
        """A worker took the job."""

    def progress(self, job: Job, text: str, done: float | None) -> None:
        """It says where it is; `done` in [0, 1] where that is known."""

    def finished(self, job: Job) -> None:
        """It is in the store."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: Connection
    job: int | None = None


def run_jobs(store: Store, jobs: Sequence[Job], watcher: Watcher, workers: int, user_root: Path = Path()) -> None:
    """Run jobs until all are finished.

    The first failure stops everything; what was half-done goes on from its last checkpoint next time.

    Raises:
        BadInput, WorkFailed: what a job failed with; `traceback` holds where.
        KeyboardInterrupt: the workers are stopped first.
    """
    if not jobs:
        return
    with tempfile.TemporaryDirectory(prefix="factory-") as logs:
        pool = [_start(store, user_root, f"{logs}/{number}.log") for number in range(min(workers, len(jobs)))]
        try:
            _Schedule(jobs, pool, watcher).run()
        finally:
            for worker in pool:
                worker.pipe.close()
                worker.process.kill()
                worker.process.wait()


def _start(store: Store, user_root: Path, log: str) -> _Worker:
    """A fresh interpreter with a pipe to it; what libraries print goes to the log."""
    ours, theirs = socket.socketpair()
    arguments = [str(theirs.fileno()), str(os.getpid()), str(store.root), str(user_root)]
    with theirs, Path(log).open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "factory.engine.worker", *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **thread_settings()},
        )
    return _Worker(process, Connection(ours.detach()))


class _Schedule:
    """Which job is next: the earliest stage first, in it the longest."""

    def __init__(self, jobs: Sequence[Job], pool: Sequence[_Worker], watcher: Watcher) -> None:
        self._jobs, self._pool, self._watcher = jobs, pool, watcher
        wanted = {job.ref for job in jobs}
        self._open = {index: {ref for ref in job.needs if ref in wanted} for index, job in enumerate(jobs)}

    def run(self) -> None:
        """Hand out jobs and listen until none is left."""
        left = len(self._jobs)
        while left:
            self._hand_out()
            busy = {worker.pipe: worker for worker in self._pool if worker.job is not None}
            for pipe in wait(list(busy)):
                left -= self._hear(busy[pipe])  # type: ignore[index]

    def _hand_out(self) -> None:
        for worker in self._pool:
            ready = [index for index, needs in self._open.items() if not needs]
            if worker.job is not None or not ready:
                continue
            index = min(ready, key=lambda i: (STAGES.index(self._jobs[i].stage), self._rank(i), i))
            job = self._jobs[index]
            del self._open[index]
            worker.job = index
            worker.pipe.send((index, job.ref.to_json(), job.run, job.spec))
            self._watcher.started(job)

    def _rank(self, index: int) -> float:
        # Cells stay in the order of their variants; elsewhere the longest job must not be the last to start.
        return 0.0 if self._jobs[index].stage == "matrix" else -self._jobs[index].cost

    def _hear(self, worker: _Worker) -> int:
        """Take one message; gives 1 if a job is finished."""
        assert worker.job is not None
        job = self._jobs[worker.job]
        try:
            kind, _, *rest = worker.pipe.recv()
        except EOFError:
            code = worker.process.wait()
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise WorkFailed(
                f"{job.ref.title}: its process {how} (out of memory?); run the same command again to go on"
            ) from None
        if kind == "progress":
            self._watcher.progress(job, *rest)
            return 0
        if kind == "failed":
            code, text, trace = rest
            error = (BadInput if code == BadInput.exit_code else WorkFailed)(f"{job.ref.title}: {text}")
            error.add_note(trace)
            raise error
        worker.job = None
        for needs in self._open.values():
            needs.discard(job.ref)
        self._watcher.finished(job)
        return 1
