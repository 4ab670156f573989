"""Which checkpoints are whole: the trainer writes them file by file, so each is sealed when it is done."""

from __future__ import annotations

import shutil
from pathlib import Path

from factory.core.atomic import read_json, sync_folder, write_json

SEAL = "sealed.json"


def seal(checkpoint: Path) -> None:
    """Declare a checkpoint whole: its files are on disk and their sizes written down."""
    sync_folder(checkpoint)
    write_json(checkpoint / SEAL, {str(p.relative_to(checkpoint)): p.stat().st_size for p in _files(checkpoint)})


def newest(folder: Path) -> tuple[Path, int] | None:
    """The newest whole checkpoint and its step; those that are not whole are removed."""
    found = []
    for path in folder.glob("checkpoint-*"):
        if _is_whole(path):
            found.append((int(path.name.removeprefix("checkpoint-")), path))
        else:
            shutil.rmtree(path)
    if not found:
        return None
    step, path = max(found)
    return path, step


def _is_whole(checkpoint: Path) -> bool:
    if not (checkpoint / SEAL).is_file():
        return False
    sizes = read_json(checkpoint / SEAL)
    return all((checkpoint / name).is_file() and (checkpoint / name).stat().st_size == n for name, n in sizes.items())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
