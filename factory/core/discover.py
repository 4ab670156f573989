"""The file system is the registry: a plug-in is a file in a folder, and its stem is its name.

Found in this order: the user's working folder (`tasks/`, `benchmarks/`, `merge_methods/`, `strategies/`), the package's
own folder, entry points. Listing imports nothing; loading imports exactly one file; an ImportError in it is shown.
A user's task may also be a `.jsonl` file, which is listed here and read by who knows what it means.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from factory.core.errors import BadInput, UnknownName
from factory.core.hashing import file_digest

USER_FOLDERS = {
    "factory.tasks": "tasks",
    "factory.benchmarks": "benchmarks",
    "factory.merging.methods": "merge_methods",
    "factory.training.strategies": "strategies",
}

USER_SUFFIXES = {"factory.tasks": (".py", ".jsonl")}

_user_root = Path()


def set_user_root(folder: Path) -> None:
    """Where the user's own plug-in folders are looked for: beside the study, else the working folder."""
    global _user_root
    _user_root = folder


def user_root() -> Path:
    """The folder that holds the user's own plug-in folders."""
    return _user_root


def _files(folder: Path, suffixes: tuple[str, ...] = (".py",)) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    # The first suffix is looked at last, and so wins: a task's Python file over rows of the same name.
    paths = [path for suffix in reversed(suffixes) for path in sorted(folder.glob(f"*{suffix}"))]
    return {path.stem: path for path in paths if not path.name.startswith(("_", "."))}


def _own_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, package
    return Path(spec.submodule_search_locations[0])


def _user_files(package: str) -> dict[str, Path]:
    folder = USER_FOLDERS.get(package)
    return _files(_user_root / folder, USER_SUFFIXES.get(package, (".py",))) if folder else {}


def user_file(package: str, name: str) -> Path | None:
    """The user's own plug-in file of that name, None if it is none of theirs."""
    return _user_files(package).get(name)


def names(package: str) -> list[str]:
    """The names of all plug-ins of a package, sorted, without importing any of them."""
    points = {point.name for point in _points(package)}
    return sorted({*_files(_own_folder(package)), *_user_files(package), *points})


def load(package: str, name: str, *, kind: str, where: str = "") -> ModuleType:
    """Import the one plug-in file of that name.

    Raises:
        UnknownName: nothing has that name; the nearest one is suggested.
        BadInput: a user's plug-in file cannot be imported; the text has the file and the reason.
    """
    user = _user_files(package).get(name)
    if user is not None:
        return _load_file(package, name, user)
    if name in _files(_own_folder(package)):
        return importlib.import_module(f"{package}.{name}")
    for point in _points(package):
        if point.name == name:
            return _load_point(point)
    raise UnknownName(kind, name, names(package), where)


def source_digest(package: str, name: str) -> str | None:
    """The content hash of a user's plug-in file, or the version of the distribution that has it as an entry point.

    None for our own, which declare a version instead.
    """
    user = _user_files(package).get(name)
    if user is not None:
        return file_digest(user)
    if name in _files(_own_folder(package)):
        return None
    points = [point for point in _points(package) if point.name == name]
    return f"{points[0].dist.name} {points[0].dist.version}" if points and points[0].dist else None


def _points(package: str) -> tuple[EntryPoint, ...]:
    return _points_on(package, tuple(sys.path))


@cache
def _points_on(package: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """What the distributions on a path offer; reading all their metadata takes a tenth of a second, so it is kept."""
    del path
    return tuple(entry_points(group=package))


def _load_point(point: EntryPoint) -> ModuleType:
    try:
        return point.load()  # type: ignore[no-any-return]
    except Exception as error:
        where = f"entry point {point.name} = {point.value}" + (f" of {point.dist.name}" if point.dist else "")
        raise BadInput(f"{where}: cannot be loaded: {type(error).__name__}: {error}") from error


def _load_file(package: str, name: str, path: Path) -> ModuleType:
    qualified = f"_user_{package.replace('.', '_')}_{name}"
    known = sys.modules.get(qualified)
    if known is not None and known.__file__ == str(path):
        return known
    spec = importlib.util.spec_from_file_location(qualified, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[qualified]
        raise BadInput(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    return module
