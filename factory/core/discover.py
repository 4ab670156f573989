"""The file system is the registry: a plug-in is a file in a folder, and its stem is its name.

Found in this order: the user's working folder (`tasks/`, `benchmarks/`, `merge_methods/`, `strategies/`), the package's
own folder, entry points. Listing imports nothing; loading imports exactly one file; an ImportError in it is shown.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.metadata import entry_points
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

_user_root = Path()


def set_user_root(folder: Path) -> None:
    """Where the user's own plug-in folders are looked for: beside the study, else the working folder."""
    global _user_root
    _user_root = folder


def user_root() -> Path:
    """The folder that holds the user's own plug-in folders."""
    return _user_root


def _python_files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}


def _own_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, package
    return Path(spec.submodule_search_locations[0])


def _user_files(package: str) -> dict[str, Path]:
    folder = USER_FOLDERS.get(package)
    return _python_files(_user_root / folder) if folder else {}


def names(package: str) -> list[str]:
    """The names of all plug-ins of a package, sorted, without importing any of them."""
    points = {point.name for point in entry_points(group=package)}
    return sorted({*_python_files(_own_folder(package)), *_user_files(package), *points})


def load(package: str, name: str, *, kind: str, where: str = "") -> ModuleType:
    """Import the one plug-in file of that name.

    Raises:
        UnknownName: nothing has that name; the nearest one is suggested.
        BadInput: a user's plug-in file cannot be imported; the text has the file and the reason.
    """
    user = _user_files(package).get(name)
    if user is not None:
        return _load_file(package, name, user)
    if name in _python_files(_own_folder(package)):
        return importlib.import_module(f"{package}.{name}")
    for point in entry_points(group=package):
        if point.name == name:
            return point.load()  # type: ignore[no-any-return]
    raise UnknownName(kind, name, names(package), where)


def source_digest(package: str, name: str) -> str | None:
    """The content hash of a user's plug-in file; None for our own, which declare a version instead."""
    user = _user_files(package).get(name)
    return file_digest(user) if user is not None else None


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
