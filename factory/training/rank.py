"""One of the processes that train an adapter together; see `processes`."""

from __future__ import annotations

import json
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from factory.core import discover
from factory.core.atomic import read_json, write_json
from factory.core.errors import FactoryError, one_line
from factory.core.parent import die_with
from factory.core.recipes import AdapterRecipe
from factory.training.processes import RESULT
from factory.training.ranks import rank


def run(call: dict[str, Any], pipe: Connection) -> None:
    """Train; say how it goes (rank 0) and how it ended (all)."""
    from factory.training.train import train_here

    def say(*what: Any) -> None:
        pipe.send_bytes(json.dumps(what).encode())

    def report(text: str, done: float | None = None) -> None:
        if rank() == 0:
            say("progress", text, done)

    discover.set_user_root(Path(call["user_root"]))
    recipe = AdapterRecipe.model_validate(call["spec"]["recipe"])
    state = Path(call["state"])
    try:
        _join()
        card = train_here(recipe, call["spec"], (Path(call["out"]), state), report)
        if rank() == 0:
            write_json(state / RESULT, card)
    except FactoryError as error:
        say("failed", error.exit_code, one_line(error))
        return
    say("done")


def _join() -> None:
    """Meet the others: by NCCL where each has a GPU of its own, else by gloo."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    else:
        os.environ.setdefault("ACCELERATE_USE_CPU", "true")


if __name__ == "__main__":
    die_with(int(sys.argv[3]))
    # Ctrl-C reaches the whole process group; the parent decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run(read_json(Path(sys.argv[1])), Connection(int(sys.argv[2])))
    sys.stdout.flush()
    os._exit(0)  # not through the other ranks' teardown: what is to be kept is on disk
