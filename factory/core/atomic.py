"""Files that are either whole or not there.

Everything is written beside its destination, flushed to disk, and renamed into place. A reader never sees half a file,
and a process killed at any moment leaves at most a temporary one that nothing reads.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from factory.core.errors import CorruptFile, FactoryError, StoreError

TEMPORARY = ".partial-"
FULL_BYTES = 1 << 20

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EROFS: "the file system is read-only; choose another folder with {option}",
    errno.EACCES: "permission denied; choose a folder you can write to with {option}",
    errno.EPERM: "permission denied; choose a folder you can write to with {option}",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder with {option}",
    errno.EEXIST: "a file stands where a folder is needed; choose another folder with {option}",
}


@contextmanager
def clear_os_errors(where: Path | str, option: str = "--store") -> Iterator[None]:
    """Turn an operating-system error about a folder we write to into one clear line; `option` says where to choose it.

    Some libraries report a full disk as an error of their own; it is told by the space that is left.

    Raises:
        StoreError: instead of the OSError, naming the place and the remedy.
    """
    try:
        yield
    except FactoryError:
        raise
    except Exception as error:
        code = error.errno if isinstance(error, OSError) else None
        if code not in _REASONS and _is_full(Path(where), error):
            code = errno.ENOSPC
        if code not in _REASONS:
            raise
        place = error.filename if isinstance(error, OSError) and error.filename else where
        raise StoreError(f"cannot write {place}: {_REASONS[code].format(option=option)}") from error


def _is_full(where: Path, error: Exception) -> bool:
    place = next((path for path in [where, *where.absolute().parents] if path.exists()), Path("/"))
    usage = shutil.disk_usage(place)  # of nothing at all: no disk
    return "No space left" in str(error) or (usage.total > 0 and usage.free < FULL_BYTES)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, making its folder if needed."""
    with clear_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{TEMPORARY}{os.getpid()}-{path.name}"
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN is refused because JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        CorruptFile: it is not JSON; the text names the file and the position.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path}: not valid JSON ({error}); restore it or remove it and run again") from error


def read_jsonl(path: Path) -> list[Any]:
    """Read a JSON-lines file whole.

    Raises:
        CorruptFile: a line is not JSON; the text names the file and the line.
    """
    values = []
    # Bytes, so that a line which is not UTF-8 has its number; and not str.splitlines(), which also splits at U+2028
    # and U+0085, which JSON may hold unescaped inside a string.
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if line.strip():
            try:
                values.append(json.loads(line.decode()))
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                raise CorruptFile(f"{path}, line {number}: not valid JSON ({error})") from error
    return values


def sync_folder(folder: Path) -> None:
    """Flush every file below a folder, and the folder entries, to disk."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def publish_folder(built: Path, destination: Path, *, replace: bool = False) -> None:
    """Rename a finished folder into place; until then nobody sees it.

    With `replace` an existing destination changes places with it in one step and is removed after: whoever looks, or
    comes back after a kill, finds the old one or the new one whole.
    """
    with clear_os_errors(destination):
        sync_folder(built)
        destination.parent.mkdir(parents=True, exist_ok=True)
        if not (replace and destination.exists()):
            built.rename(destination)
        elif _exchange(built, destination):
            shutil.rmtree(built)
        else:
            _swap_by_steps(built, destination)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places at once; whether this system and file system can (Linux's renameat2)."""
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if rename is None or not rename(here, os.fsencode(one), here, os.fsencode(other), exchange):
        return rename is not None
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS):
        return False
    raise OSError(code, os.strerror(code), str(other))


def _swap_by_steps(built: Path, destination: Path) -> None:
    """The old folder aside, the new one in its place; a kill between the two leaves both whole, the old one aside."""
    aside = destination.parent / f"{TEMPORARY}{os.getpid()}-old-{destination.name}"
    destination.rename(aside)
    try:
        built.rename(destination)
    except OSError:
        aside.rename(destination)
        raise
    shutil.rmtree(aside)
