"""What a lane is for: what it loads, and the only files that it can read."""

from __future__ import annotations

import json
import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path

_SHARED_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_MODULES = (
    "math", "cmath", "re", "collections", "itertools", "functools", "heapq", "bisect", "string", "random",
    "copy", "typing", "operator", "types", "json",
)  # fmt: skip
"""What most code imports; each costs every check a little, and none more than importing it there."""


@dataclass(frozen=True)
class Kind:
    """What a lane is for.

    Attributes:
        name: for people.
        worker: the module whose `handle` answers requests; "" for lanes that check code.
        paths: folders to import from, readable inside.
        modules: imported before anything is forked.
        memory_bytes: address space of a worker.
    """

    name: str
    worker: str = ""
    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = _MODULES
    memory_bytes: int = 1 << 30

    def config(self) -> str:
        """What the keeper is told, as JSON."""
        paths = sysconfig.get_paths()
        readable = [paths["stdlib"], paths["platstdlib"], sysconfig.get_config_var("LIBDIR") or ""]
        readable += [*_SHARED_LIBRARIES, *self.paths, *_DEVICES, "/usr/share/zoneinfo"]
        known = [path for path in dict.fromkeys(readable) if path and Path(path).exists()]
        outer = [path for path in known if not any(Path(other) in Path(path).parents for other in known)]
        value = {"worker": self.worker, "paths": self.paths, "modules": self.modules, "readable": outer}
        without = os.environ.get("FACTORY_SANDBOX_WITHOUT", "").split(",")  # to see here what a weaker machine does
        return json.dumps({**value, "without": without, "debug": bool(os.environ.get("FACTORY_SANDBOX_DEBUG"))})
