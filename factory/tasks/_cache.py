"""What is derived from datasets and kept for the next process, in the user's cache: nothing there is worth a backup."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json, write_json
from factory.core.errors import CorruptFile, StoreError


def cache_folder(name: str) -> Path:
    """A place in the cache; named by content, since mirrors change and may be read-only."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "lora-factory" / name


def keep(path: Path, value: dict[str, Any]) -> None:
    """Keep a record; where nothing can be written it is found again each time."""
    try:
        write_json(path, value)
    except StoreError as error:
        logging.getLogger(__name__).warning("what was found of the rows is not kept for the next time: %s", error)


def recorded(path: Path, keys: tuple[str, ...]) -> dict[str, Any] | None:
    """A record that was kept; None if it was not, is damaged, or lacks one of the keys."""
    try:
        found = read_json(path)
    except (OSError, CorruptFile):
        return None
    return found if isinstance(found, dict) and set(keys) <= set(found) else None
