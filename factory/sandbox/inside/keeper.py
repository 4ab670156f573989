"""The keeper of a lane: a small clean process that forks the ones that work, watches them, and never sees a job.

Started by `lane.py` with an empty environment, the configuration and the control socket as its arguments. It locks
itself up once; then every order on the control socket brings a stream, which it hands to a fresh process: a checker,
which asks for a candidate per job, or a worker (`sql`, `math`), which answers requests until it is told to end or
killed. Candidates are forked before their job is known to anybody here, so nothing worth reading is ever in their
memory.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import signal
import sys

from . import worker
from .desk import Desk, end
from .locked import Locked


def serve_checks(lane: Locked) -> None:
    """One checker after the other, each for as long as it lives."""
    while True:
        _, stream = lane.receive()
        Desk(lane, stream).serve()


def serve_worker(lane: Locked) -> None:
    """One process that answers requests on the descriptor of the last order; a new order replaces it."""
    handle = importlib.import_module(lane.config["worker"]).handle
    order, descriptor = lane.receive()
    while True:
        memory, stream = int(order["memory"]), descriptor
        pid = lane.fork(functools.partial(worker.main, stream, handle, lane.filters, lane.alive, memory))
        os.close(stream)
        order, descriptor = lane.receive()
        lane.say({"worker": end(pid)[0]})


def load(modules: list[str]) -> None:
    """Import what most code uses, without its work at each fork: `random` would seed itself in every new process.

    Each process starts with the same random state instead, so that a verdict depends on the job alone.
    """
    hook, os.register_at_fork = os.register_at_fork, lambda **_: None
    for name in [*modules, "random"]:
        importlib.import_module(name)
    os.register_at_fork = hook
    sys.modules["random"].seed(0)


def main() -> None:
    """Read the configuration, lock up, serve."""
    config = json.loads(sys.argv[1])
    sys.path.pop()  # where this package was found
    sys.path.extend(config["paths"])
    load(config["modules"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace", line_buffering=False, write_through=False)  # type: ignore[union-attr]
    lane = Locked(config, int(sys.argv[2]))
    if config["worker"]:
        importlib.import_module(config["worker"])
    lane.lock_up()
    sys.argv[1:] = []
    gc.collect()
    gc.freeze()
    lane.say({"ready": lane.applied})
    (serve_worker if config["worker"] else serve_checks)(lane)
