"""A task by what a study calls it: `NAME`, `FAMILY:MEMBER`, and options behind `@`.

`countdown@easy` has only the easy rows, `math@tag` asks in another style, `countdown@boxed@raw` without the chat
template, `reasoning_gym:chain_sum` is a member of a family, `...@key=value` sets what the task lets be set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from factory.core import discover
from factory.core.errors import BadInput, UnknownName
from factory.core.records import Row, Split
from factory.tasks._style import STYLES, Worded
from factory.tasks._task import Source, Task

PACKAGE = "factory.tasks"


def task_names() -> list[str]:
    """The names of all tasks, sorted; nothing is imported."""
    return discover.names(PACKAGE)


def stem_of(name: str) -> str:
    """The plug-in's name in a task's full name."""
    return name.partition("@")[0].partition(":")[0]


def find_task(name: str, where: str = "") -> Task:
    """The task of that name, with its options applied.

    Raises:
        UnknownName: no task, member or option has that name; the nearest one is suggested.
        BadInput: an option that the task does not have.
    """
    head, *options = name.split("@")
    stem, _, member = head.partition(":")
    settings = dict(option.split("=", 1) for option in options if "=" in option)
    task = _made(name, stem, member, settings, where)
    words = [option for option in options if "=" not in option]
    # Levels before styles: a level may have words of its own, which a style then words again.
    for word in sorted(words, key=lambda word: word not in task.levels):
        task = _with_word(task, word, where)
    return replace(task, name=name)


def same_task(one: str, other: str) -> bool:
    """Whether two names mean the same task, styles aside; a task without a level has all levels."""
    (head, level), (other_head, other_level) = _told(one), _told(other)
    return head == other_head and (level == other_level or not level or not other_level)


def _told(name: str) -> tuple[str, frozenset[str]]:
    head, *options = name.split("@")
    return head, frozenset(option for option in options if "=" not in option and option not in (*STYLES, "raw"))


def source_digest(name: str) -> str | None:
    """The content hash of a user's own task file; None for ours."""
    return discover.source_digest(PACKAGE, stem_of(name))


def demonstration_of(name: str) -> Any:
    """A task's demonstrations, None if it has none."""
    return None if _rows_file(stem_of(name)) else getattr(_module(stem_of(name), ""), "demonstration", None)


def members_of(stem: str) -> list[str]:
    """The members of a family, as `stem:member` names them; none for a task that is no family.

    Raises:
        BadInput: the family's library is not installed.
    """
    return [] if _rows_file(stem) else list(getattr(_module(stem, ""), "members", list)())


def _rows_file(stem: str) -> Path | None:
    """The user's file of rows that is the task, None for a task that is Python."""
    path = discover.user_file(PACKAGE, stem)
    return path if path is not None and path.suffix == ".jsonl" else None


def _module(stem: str, where: str) -> Any:
    return discover.load(PACKAGE, stem, kind="task", where=where)


def _made(name: str, stem: str, member: str, settings: Mapping[str, str], where: str) -> Task:
    """What a file of rows is, what the module's `task(member, settings)` makes, or its `TASK`; or an entry point's."""
    path, prefix = _rows_file(stem), f"{where}: " if where else ""
    module = None if path else _module(stem, where)
    if module is not None and callable(getattr(module, "task", None)):
        return _must_be_task(module.task(member, settings), stem, prefix)
    if member or settings:
        raise BadInput(f"{prefix}task '{name}': {stem} has no members and nothing to set with =")
    if path is not None:
        from factory.tasks._jsonl import task_of_file

        return task_of_file(path)
    return _must_be_task(getattr(module, "TASK", module), stem, prefix)


def _must_be_task(found: object, stem: str, prefix: str) -> Task:
    if isinstance(found, Task):
        return found
    path = discover.user_file(PACKAGE, stem)
    what = f"TASK or task() is a {type(found).__name__}" if not isinstance(found, ModuleType) else "it has neither"
    raise BadInput(f"{prefix}{path or stem}: a task file defines TASK, a Task, or task(member, settings); {what}")


def _with_word(task: Task, word: str, where: str) -> Task:
    worded = task.rows if isinstance(task.rows, Worded) else None
    if word in task.levels:
        difficulty = task.levels[word]
        rows = worded.of_level(difficulty) if worded else OfLevel(task.rows, difficulty)
        chance = task.level_chance.get(difficulty, task.chance)
        return replace(task, rows=rows, levels={}, chance=chance, counts=None)
    if worded is not None and (word in worded.styles or word == "raw"):
        return replace(task, rows=worded.styled(word))
    known = [*task.levels, *((*worded.styles, "raw") if worded else ())]
    raise UnknownName(f"option of task {task.name}", word, known, where)


class OfLevel:
    """The rows of one difficulty."""

    def __init__(self, rows: Callable[[Split, Source], Sequence[Row]], difficulty: int) -> None:
        self._rows, self._difficulty = rows, difficulty

    def __call__(self, split: Split, source: Source) -> Sequence[Row]:
        """The rows of a split that have the difficulty."""
        return [row for row in self._rows(split, source) if row.difficulty == self._difficulty]
