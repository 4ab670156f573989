"""A worker process: takes jobs from a pipe, one at a time, and says how they go.

One thread each, its own process for as long as the run lasts: the imports of the training libraries cost more than
some jobs do. It dies with its parent, whatever kills that.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from factory.core import discover
from factory.core.errors import FactoryError, one_line
from factory.core.parent import die_with
from factory.store.ref import Ref
from factory.store.store import Store

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
REPORT_EVERY_SECONDS = 0.2


def run_job(store: Store, ref: Ref, run: str, spec: dict[str, Any], report: Any) -> Path:
    """Call a job's function, named as `module:function`."""
    module, _, function = run.partition(":")
    path: Path = getattr(importlib.import_module(module), function)(store, ref, spec, report)
    return path


def serve(pipe: Connection, parent: int, store: str, user_root: str) -> None:
    """Do jobs until the pipe closes.

    Takes `(index, ref, run, spec)`. Sends `("progress", index, text, share)` and at the end `("done", index)` or
    `("failed", index, exit_code, text, traceback)`.
    """
    die_with(parent)
    # Ctrl-C reaches the whole process group; the parent decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    discover.set_user_root(Path(user_root))
    while True:
        try:
            index, ref, run, spec = pipe.recv()
        except EOFError:
            return
        try:
            run_job(Store(store), Ref(**ref), run, spec, _Reporter(pipe, index))
            pipe.send(("done", index))
        except FactoryError as error:
            pipe.send(("failed", index, error.exit_code, one_line(error), traceback.format_exc()))
        except Exception as error:  # noqa: BLE001  (whatever it is, the parent shows it and stops)
            text = f"{type(error).__name__}: {one_line(error)}"
            pipe.send(("failed", index, 1, text, traceback.format_exc()))


def thread_settings() -> dict[str, str]:
    """The environment that gives every library of a worker one thread, unless the user says otherwise."""
    wanted = {**dict.fromkeys(THREADS, "1"), "TOKENIZERS_PARALLELISM": "false"}
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


class _Reporter:
    """Progress to the parent, not more often than it can be read."""

    def __init__(self, pipe: Connection, index: int) -> None:
        self._pipe, self._index, self._last = pipe, index, 0.0

    def __call__(self, text: str, done: float | None = None) -> None:
        if time.monotonic() - self._last > REPORT_EVERY_SECONDS or done in (0.0, 1.0):
            self._last = time.monotonic()
            self._pipe.send(("progress", self._index, text, done))


if __name__ == "__main__":
    descriptor, parent_process, store_root, plugins = sys.argv[1:]
    serve(Connection(int(descriptor)), int(parent_process), store_root, plugins)
