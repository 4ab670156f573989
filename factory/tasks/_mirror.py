"""Rows from an offline mirror, or from the Hub at the revision that planning found."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput, CorruptFile
from factory.core.hashing import file_digest, key_of
from factory.tasks._task import Source

Rows = list[dict[str, Any]]


def mirror_file(source: Source, name: str) -> Path:
    """A file of the mirror.

    Raises:
        BadInput: it is not there; the text says what was expected where.
    """
    assert source.data is not None
    path = source.data / name
    if not path.is_file():
        raise BadInput(f"{path}: no such file in the mirror {source.data}; copy it there, or leave out --data")
    return path


def read_rows(path: Path) -> Rows:
    """Rows of a `.json` or `.jsonl` file, gzipped or not.

    Raises:
        CorruptFile: the file is cut off, not JSON, or not rows.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        if path.name.removesuffix(".gz").endswith(".jsonl"):
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            rows = json.loads(text)
    except (OSError, EOFError, ValueError) as error:
        raise CorruptFile(f"{path}: cannot be read as rows ({error}); the file is damaged, copy it again") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CorruptFile(f"{path}: expected rows, each an object with named fields; copy the file again")
    return rows


def checked(rows: Rows, fields: tuple[str, ...], where: str) -> Rows:
    """The rows, after looking for the fields a task needs.

    Raises:
        BadInput: there are none, or one lacks a field; the text names the first.
    """
    if not rows:
        raise BadInput(f"{where}: no rows")
    for number, row in enumerate(rows):
        missing = [name for name in fields if not isinstance(row.get(name), str)]
        if missing:
            raise BadInput(f"{where}, row {number}: no text in '{missing[0]}'; it has {', '.join(sorted(row))}")
    return rows


def fingerprint_of(files: tuple[str, ...], hub: str) -> Callable[[Source], str]:
    """A task's `fingerprint`: the hash of its mirror files, or the Hub dataset's commit."""

    def fingerprint(source: Source) -> str:
        if source.data is None:
            return hub_revision(hub)
        return key_of([file_digest(mirror_file(source, name)) for name in files])

    return fingerprint


@lru_cache(maxsize=8)
def hub_revision(dataset: str) -> str:
    """The commit a Hub dataset is at; rows are then loaded at that commit.

    Raises:
        BadInput: the Hub cannot be asked.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return str(HfApi().dataset_info(dataset).sha)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, httpx2.TransportError) as error:
        raise BadInput(
            f"dataset {dataset}: the Hub cannot be asked ({type(error).__name__}); "
            "give an offline mirror with --data DIR or FACTORY_DATA"
        ) from error


def hub_rows(dataset: str, config: str, split: str) -> Rows:
    """Rows of a Hub dataset's split, at the commit of `hub_revision`."""
    from datasets import load_dataset

    return list(load_dataset(dataset, config, split=split, revision=hub_revision(dataset)))


def cache_folder(name: str) -> Path:
    """A folder for what is derived from a mirror, which may be read-only; named by content."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "lora-factory" / name
