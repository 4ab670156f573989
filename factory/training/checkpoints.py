"""Which checkpoints are whole: the trainer writes them file by file, so each is sealed when it is done."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json, sync_folder, write_json
from factory.core.errors import BadInput

SEAL = "sealed.json"


def seal(checkpoint: Path, of: Mapping[str, Any]) -> None:
    """Declare a checkpoint whole: its files are on disk and their sizes written down, with what it belongs to.

    Args:
        of: recipe, seed and base, as JSON.
    """
    sync_folder(checkpoint)
    files = {str(path.relative_to(checkpoint)): path.stat().st_size for path in _files(checkpoint)}
    write_json(checkpoint / SEAL, {"of": dict(of), "files": files})


def newest(folder: Path, of: Mapping[str, Any]) -> tuple[Path, int] | None:
    """The newest whole checkpoint and its step; those that are not whole are removed.

    Raises:
        BadInput: it is of another recipe, seed or base.
    """
    found = []
    for path in folder.glob("checkpoint-*"):
        if _is_whole(path):
            found.append((int(path.name.removeprefix("checkpoint-")), path))
        else:
            shutil.rmtree(path)
    if not found:
        return None
    step, path = max(found)
    difference = _difference(read_json(path / SEAL)["of"], dict(of))
    if difference:
        raise BadInput(f"{path}: a checkpoint of another training: {difference}; remove {folder} to start anew")
    return path, step


def _difference(there: Any, here: Any, where: str = "") -> str:
    """The first field in which two JSON values differ, with both values; "" if they are equal."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in dict.fromkeys([*here, *there]):
            found = _difference(there.get(key), here.get(key), f"{where}.{key}" if where else key)
            if found:
                return found
        return ""
    return "" if there == here else f"its {where} is {there!r}, this one's {here!r}"


def _is_whole(checkpoint: Path) -> bool:
    if not (checkpoint / SEAL).is_file():
        return False
    sealed = read_json(checkpoint / SEAL)
    if "of" not in sealed:
        return False
    return all(
        (checkpoint / name).is_file() and (checkpoint / name).stat().st_size == size
        for name, size in sealed["files"].items()
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
