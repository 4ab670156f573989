"""A worker process: it answers one request after the other with a function, until its stream ends or it is killed."""

from __future__ import annotations

import base64
import os
import select
import signal
from collections.abc import Callable
from typing import Any

from . import limits
from .frames import Broken, read_frame, write_frame
from .seccomp import Filter


def unpacked(value: Any) -> Any:
    """A value with its `{"base64": text}` parts turned into bytes."""
    if isinstance(value, dict):
        if set(value) == {"base64"}:
            return base64.b64decode(value["base64"])
        return {key: unpacked(part) for key, part in value.items()}
    return value


def main(
    descriptor: int,
    handle: Callable[[dict[str, Any]], dict[str, Any]],
    filters: Filter | None,
    alive: select.poll,
    memory_bytes: int,
) -> None:
    """Lock this process up and serve. Never returns."""
    limits.die_with(alive)
    limits.close_others(descriptor)
    limits.set_limits(memory_bytes, 1 << 30)
    if filters is not None:
        filters.install()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        while True:
            request = read_frame(descriptor, 1 << 30)
            if request.get("load"):
                request["load"] = unpacked(request["load"])
            try:
                answer = handle(request)
            except MemoryError:
                answer = {"failed": "out of memory"}
            except Exception as error:  # noqa: BLE001 (reported as a failure of the verifier, never as a verdict)
                answer = {"failed": f"{type(error).__name__}: {error}"[:500]}
            write_frame(descriptor, answer)
    except Broken:
        pass
    os._exit(0)
