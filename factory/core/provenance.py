"""What a card says about where a thing was made: package versions, code revision, hardware, cost."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("lora-factory", "torch", "transformers", "trl", "peft", "mergekit", "datasets", "tokenizers", "numpy")


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str | None]:
    """Installed version of each package; None where it is absent."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def code_revision() -> str | None:
    """Git revision of the source checkout, with `+changes` if files differ from it; None when not in a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        dirty = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and threads; nothing that names the machine or its user."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages * size / 2**30, 1),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")) or None,
    }


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Meter:
    """Wall and CPU seconds since it was made, children included, and the process's peak memory."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), _cpu_seconds()

    def read(self) -> dict[str, float]:
        """`wall_seconds`, `cpu_seconds`, and `peak_gib` of this process so far."""
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "wall_seconds": round(time.monotonic() - self._wall, 2),
            "cpu_seconds": round(_cpu_seconds() - self._cpu, 2),
            "peak_gib": round(peak_kib / 2**20, 3),
        }


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
