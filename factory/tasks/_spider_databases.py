"""Spider's databases: what tables they have, and the archive of the training ones, unpacked once."""

from __future__ import annotations

import shutil
import tarfile
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from factory.core.atomic import clear_os_errors, publish_folder
from factory.core.errors import BadInput, CorruptFile
from factory.tasks._cache import cache_folder
from factory.tasks._mirror import digest_of
from factory.tasks._rows import read_rows


def schemas(path: Path) -> dict[str, str]:
    """Each database's tables as `name(column, column)` lines, from `tables.json`.

    Raises:
        BadInput: the file is not Spider's.
    """
    return _schemas(path, digest_of(path))


@lru_cache(maxsize=2)
def _schemas(path: Path, content: str) -> dict[str, str]:
    del content
    found = {}
    for number, schema in enumerate(read_rows(path)):
        for field in ("db_id", "table_names_original", "column_names_original"):
            if field not in schema:
                raise BadInput(f"{path}, database {number}: no '{field}'; the file is not Spider's")
        tables = schema["table_names_original"]
        columns: list[list[str]] = [[] for _ in tables]
        for table, column in schema["column_names_original"]:
            if table >= 0:
                columns[table].append(column)
        lines = [f"{table}({', '.join(names)})" for table, names in zip(tables, columns, strict=True)]
        found[schema["db_id"]] = "\n".join(lines)
    return found


def unpacked(archive: Path) -> Path:
    """The folder of the training databases, in the user's cache.

    Raises:
        CorruptFile: the archive is cut off.
    """
    folder = cache_folder(f"spider-{digest_of(archive)[:16]}")
    if folder.exists():
        return folder / "database"
    with clear_os_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                built = folder.with_name(f".unpacking-{folder.name}")
                shutil.rmtree(built, ignore_errors=True)
                try:
                    with tarfile.open(archive) as tar:
                        tar.extractall(built, filter="data")
                except (tarfile.TarError, EOFError) as error:
                    raise CorruptFile(f"{archive}: cannot be unpacked ({error}); copy it again") from error
                publish_folder(built, folder)
    return folder / "database"
