"""How much memory this process may still take."""

from __future__ import annotations

from pathlib import Path


def free_bytes() -> float:
    """What the machine has free, or the container's or the job's own limit (cgroup v2) leaves, whichever is less."""
    import psutil

    return min(float(psutil.virtual_memory().available), _container_free())


def _container_free() -> float:
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no such group, or "max"
        return float("inf")
