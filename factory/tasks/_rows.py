"""Files of rows: `.json`, `.jsonl` (both also gzipped) and `.parquet`; what is wrong with one is one clear line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput, CorruptFile

Rows = list[dict[str, Any]]
Fields = Mapping[str, type | tuple[type, ...]]
"""The fields that rows must have, with what they hold; None is allowed where `NoneType` is."""

NAMES = {str: "text", int: "number", float: "number", list: "list", dict: "object"}


def read_rows(path: Path) -> Rows:
    """The rows of a file, told by its name.

    Raises:
        BadInput: no such file, or it cannot be opened.
        CorruptFile: the file is cut off, not of its format, or not rows.
    """
    try:
        rows = _parquet(path) if path.suffix == ".parquet" else _json(path)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise BadInput(f"{path}: {error.strerror}; expected a file of rows") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        told = " ".join(str(error).split())[:160]
        raise CorruptFile(f"{path}: cannot be read as rows ({told}); the file is damaged, copy it again") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CorruptFile(f"{path}: expected rows, each an object with named fields; copy the file again")
    return rows


def _json(path: Path) -> Any:
    content = path.read_bytes()
    if not content:
        raise EOFError("the file is empty")
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        # Not str.splitlines(), which also splits at U+2028 and U+0085, which JSON may hold unescaped in a string.
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    return json.loads(text)


def _parquet(path: Path) -> Any:
    import pyarrow.parquet

    # As a file object: pyarrow's own error for a missing one names neither errno nor reason.
    with path.open("rb") as file:
        return pyarrow.parquet.read_table(file).to_pylist()


def checked(rows: Rows, fields: Fields, where: str) -> Rows:
    """The rows, after looking for the fields a task needs.

    Raises:
        BadInput: there are none, or one lacks a field; the text names the first.
    """
    if not rows:
        raise BadInput(f"{where}: no rows")
    for number, row in enumerate(rows):
        for name, kinds in fields.items():
            if name in row and isinstance(row[name], kinds) and not isinstance(row[name], bool):
                continue
            wanted = NAMES[kinds[0] if isinstance(kinds, tuple) else kinds]
            raise BadInput(f"{where}, row {number}: no {wanted} in '{name}'; it has {', '.join(sorted(row))}")
    return rows
