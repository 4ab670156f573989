"""The offline mirror of the datasets (`FACTORY_DATA`)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from factory.core.errors import BadInput
from factory.core.hashing import file_digest
from factory.tasks._task import Source


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


def mirror_digest(source: Source, name: str) -> str:
    """The content hash of a file of the mirror.

    Raises:
        BadInput: it is not there.
    """
    return digest_of(mirror_file(source, name))


def digest_of(path: Path) -> str:
    """The content hash of a file, computed once as long as the file stays the same: planning asks for every job."""
    status = path.stat()
    return _digest(path, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=64)
def _digest(path: Path, state: tuple[int, int]) -> str:
    del state
    return file_digest(path)
