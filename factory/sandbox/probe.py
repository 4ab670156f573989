"""Which isolation this machine gives, found by attacking it: small programs try to get out, and none may succeed.

`strong`: Landlock, seccomp, limits and namespaces hold. `good`: all but the namespaces (a container or a distribution
that forbids user namespaces); files outside can then be seen by name, not read. `weak`: anything less; refused unless
the user opts in with FACTORY_SANDBOX=weak.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from factory.core.errors import WorkFailed

OPT_IN = "FACTORY_SANDBOX"

Level = Literal["strong", "good", "weak", "none"]

# each attack sets `got` to what it got hold of; `victim` is a file that exists outside, `parent` our process id
_ATTACKS: dict[str, tuple[str, str]] = {
    "read a file": ("landlock", "got = open(victim).read()"),
    "write a file": ("landlock", "open(victim + '.new', 'w').write('x'); got = 'written'"),
    "write to the library": ("landlock", "open(os.__file__, 'a').close(); got = 'opened'"),
    "list a folder": ("landlock", "got = os.listdir(os.path.dirname(victim))"),
    "open a network socket": ("seccomp", "import socket; got = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"),
    "open a unix socket": ("seccomp", "import socket; got = socket.socket(socket.AF_UNIX)"),
    "change a file's mode": ("seccomp", "os.chmod(victim, 0o777); got = 'changed'"),
    "start a process": ("seccomp", "pid = os.fork(); pid or os._exit(0); got = 'forked'"),
    "run a program": ("seccomp", "os.posix_spawn('/bin/true', ['true'], {}); got = 'spawned'"),
    "signal a process": ("seccomp", "os.kill(parent, 0); got = 'reached'"),
    "change a process's limits": ("seccomp", "import resource; got = resource.prlimit(parent, resource.RLIMIT_NOFILE)"),
    "memory that no limit counts": ("seccomp", "got = os.memfd_create('x')"),
    "raise a limit": (
        "seccomp",
        "import resource as r; r.setrlimit(r.RLIMIT_CPU, r.getrlimit(r.RLIMIT_CPU)); got = 'set'",
    ),
    "use much memory": ("limits", "got = len(bytearray(3 << 30))"),
    "see a file's name": ("namespaces", "got = os.stat(victim)"),
    "see other processes": ("namespaces", "got = os.getppid()"),
}
_NEEDED = ("landlock", "seccomp", "limits")


@dataclass(frozen=True)
class Layers:
    """The isolation of this machine.

    Attributes:
        level: strong, good, weak or none.
        missing: what keeps it from being strong, with the kernel's reason; "" for nothing.
        checks: each attack and how it ended, "held" or what it got.
    """

    level: Level
    missing: str = ""
    checks: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether untrusted code may run here without opting in."""
        return self.level in ("strong", "good")


def probe() -> Layers:
    """Attack a lane and say what held. Once per process; later calls give the same answer."""
    return _probed(os.getpid())


@lru_cache(maxsize=1)
def _probed(_pid: int) -> Layers:
    if not sys.platform.startswith("linux"):
        return Layers(
            "none",
            f"{sys.platform} has no Landlock, seccomp or namespaces: Python and SQL checks need Linux "
            "(a Linux container or virtual machine will do); numeric, exact and puzzle answers work here",
        )
    from factory.sandbox.check import CHECK, check
    from factory.sandbox.pool import pool_of

    broken: dict[str, str] = {}
    checks: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="factory-probe-") as folder:
        victim = Path(folder) / "victim"
        victim.write_text("outside")
        for name, (layer, attack) in _ATTACKS.items():
            head = f"import os\nvictim, parent, got = {str(victim)!r}, {os.getpid()}, None\n"
            body = f"try:\n    {attack}\nexcept (OSError, ValueError, MemoryError):\n    pass\n"
            source = f"{head}{body}def answer(): return repr(got)[:80]"
            outcome = check([source], ["assert answer() in ('None', '0')"], entry="answer", seconds=5, probed=True)
            held = outcome.status == "passed"
            checks[name] = "held" if held else outcome.reason
            if not held:
                broken.setdefault(layer, f"could {name}")
    applied = pool_of(CHECK).lanes()[0].applied
    missing = {layer: applied.get(layer) or why for layer, why in broken.items()}
    level: Level = "weak" if any(layer in missing for layer in _NEEDED) else "good" if missing else "strong"
    return Layers(level, "; ".join(f"{layer}: {why}" for layer, why in missing.items()), checks)


def require() -> Layers:
    """The layers, if untrusted code may run on them.

    Raises:
        WorkFailed: they are not enough and the user has not opted in.
    """
    layers = probe()
    if not layers.usable and not (layers.level == "weak" and os.environ.get(OPT_IN) == "weak"):
        raise WorkFailed(
            f"this machine cannot isolate untrusted code ({layers.level}: {layers.missing}); use Linux with Landlock "
            f"and seccomp (kernel 5.13 or later), or set {OPT_IN}=weak to run model-written code with less protection"
        )
    return layers
