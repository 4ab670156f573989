"""What a task's file of lm-evaluation-harness stands on: the tasks it holds and every local file they name.

Read without the harness, whose import takes seconds: a cell is stale as soon as any of these files is another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from factory.core.errors import BadInput, CorruptFile

OF_A_GROUP = ("group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag", "include")
"""What a group says of itself; anything else it says for all its tasks."""
# Names that `datasets` takes for a format, not for a folder.
FORMATS = ("json", "csv", "parquet", "text", "arrow", "xml")


class Function(str):
    """`!function module.name`, by the path of its module without `.py`, and the name."""


class _Loader(yaml.SafeLoader):
    pass


def _function(loader: _Loader, node: yaml.ScalarNode) -> Function:
    return Function(loader.construct_scalar(node))


_Loader.add_constructor("!function", _function)


@dataclass
class TaskFile:
    """A file of the harness, read.

    Attributes:
        tasks: the settings of each task in it, with what its groups say for all.
        files: every local file it depends on, itself first.
        elsewhere: tasks of groups that stand in no file beside it, by name; the harness may have them.
        group: the group's name; "" where it is one task.
    """

    tasks: list[dict[str, Any]] = field(default_factory=list)
    files: dict[Path, None] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    group: str = ""


def is_task_file(name: str) -> bool:
    """Whether a name after `lm_eval:` is a file's, and not one of the harness's own tasks."""
    return name.endswith((".yaml", ".yml"))


def read_task_file(path: Path) -> TaskFile:
    """Read a task's or a group's file, what it includes, the tasks beside it that it groups, and name their data.

    A module's own imports are not followed.

    Raises:
        BadInput: a file that is not there, one that is neither a task nor a group.
        CorruptFile: not YAML, or not a mapping.
    """
    found = TaskFile()
    settings = _read(path, found.files, ())
    if "group" in settings and not isinstance(settings.get("task"), str):
        found.group = str(settings["group"])
        if path.suffix != ".yaml":
            raise BadInput(f"{path}: the harness looks for groups in files that end in .yaml; rename it")
        # In the harness's order, in which the first file of a name wins.
        around = sorted(path.parent.rglob("*.yaml"), key=Path.as_posix, reverse=True)
        beside = {name: file for file in around for name in _named(file)}
        _add_group(found, settings, {}, beside, (path.resolve(),))
    elif isinstance(settings.get("task"), str):
        _add_task(found, settings, path)
    else:
        raise BadInput(f"{path}: no file of lm-evaluation-harness; it needs 'task: NAME', or 'group: NAME' with tasks")
    return found


def _add_task(found: TaskFile, settings: dict[str, Any], path: Path) -> None:
    found.tasks.append(settings)
    found.files.update(dict.fromkeys(_data(settings, path)))


def _add_group(
    found: TaskFile,
    group: Mapping[str, Any],
    over: Mapping[str, Any],
    beside: Mapping[str, Path],
    within: tuple[Path, ...],
) -> None:
    """The tasks of a group; `over` is what the groups around it say for all, `within` the files of those groups."""
    path = within[-1]
    over = {**{key: value for key, value in group.items() if key not in OF_A_GROUP}, **over}
    for member in group.get("task") or []:
        one = {"task": member} if isinstance(member, str) else member
        if not isinstance(one, Mapping) or not isinstance(one.get("group", one.get("task")), str):
            raise BadInput(f"{path}: a member of group '{group.get('group')}' is no name and has none")
        name = str(one.get("group", one.get("task")))
        own = {key: value for key, value in one.items() if key not in ("group", "task")}
        if name in beside:
            file = beside[name]
            if file.resolve() in within:
                raise BadInput(f"{path}: group '{name}' is in itself")
            settings = _read(file, found.files, ())
            if "group" in settings and not isinstance(settings.get("task"), str):
                _add_group(found, settings, {**over, **own}, beside, (*within, file.resolve()))
            else:
                _add_task(found, {**settings, **over, **own}, file)
        elif "group" in one:
            _add_group(found, one, over, beside, within)
        elif "dataset_path" in {**over, **own}:
            _add_task(found, {**over, **one}, path)
        else:
            found.elsewhere.append(name)


def _named(path: Path) -> list[str]:
    """The name of the task or group in a file beside; a file that is none of the harness's is nobody's member."""
    try:
        settings = _read(path, {}, ())
    except BadInput:
        return []
    name = settings.get("task")
    name = name if isinstance(name, str) else settings.get("group")
    return [name] if isinstance(name, str) else []


def _read(path: Path, files: dict[Path, None], within: tuple[Path, ...]) -> dict[str, Any]:
    """A file with what it includes laid under it; notes the files, and those of its functions."""
    place = path.resolve()
    if place in within:
        raise BadInput(f"{path}: includes itself")
    try:
        settings = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        told = f"{within[-1]}: includes {path}, which is not there" if within else f"{path}: no such file"
        raise BadInput(f"{told}; give a task's file or its name in the harness") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise CorruptFile(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise CorruptFile(f"{path}: expected 'key: value' lines, got a {type(settings).__name__}")
    files[path] = None
    for module in _modules(settings, path.parent):
        files[module] = None
    included = settings.pop("include", [])
    merged: dict[str, Any] = {}
    for one in included if isinstance(included, list) else [included]:
        merged |= _read(path.parent / str(one), files, (*within, place))
    return {**merged, **settings}


def _modules(value: Any, folder: Path) -> Iterator[Path]:
    """The files of the functions that settings name; modules that are installed have a version of their own."""
    if isinstance(value, Function):
        module = folder / (value.rpartition(".")[0].replace(".", "/") + ".py")
        if module.is_file():
            yield module
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _modules(one, folder)


def _data(settings: Mapping[str, Any], path: Path) -> Iterator[Path]:
    """The local files that `datasets` would read; relative ones are in the working folder, as they are to it."""
    options = settings.get("dataset_kwargs") or {}
    options = options if isinstance(options, Mapping) else {}
    dataset, folder = str(settings.get("dataset_path") or ""), options.get("data_dir")
    named = options.get("data_files") or []
    groups = list(named.values()) if isinstance(named, Mapping) else [named]
    for group in groups:
        for pattern in group if isinstance(group, list) else [group]:
            if "://" not in str(pattern):
                yield from _matching(Path(folder or "") / str(pattern), path)
    if not named and folder and Path(folder).is_dir():
        yield from _below(Path(folder))
    if dataset not in FORMATS and dataset and Path(dataset).is_dir():
        yield from _below(Path(dataset))


def _matching(pattern: Path, path: Path) -> list[Path]:
    plain = pattern.expanduser()
    below = Path(plain.anchor).glob(str(plain.relative_to(plain.anchor)))
    found = [plain] if plain.is_file() else sorted(below)
    if not found:
        raise BadInput(f"{path}: its data file {pattern} is not there; relative paths start at the working folder")
    return [file for one in found for file in (_below(one) if one.is_dir() else [one])]


def _below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())
