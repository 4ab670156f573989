"""The tasks there are: what each is, how many rows it has, and what its rows look like."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.tasks._find import find_task, task_names
from factory.tasks._task import Source, Task

SPLITS = ("train", "dev", "test")
SAMPLES = 3


def catalogue(source: Source) -> list[dict[str, Any]]:
    """Every task: summary, licence, origin, chance, and rows of each split, or why they cannot be counted."""
    entries = []
    for name in task_names():
        task: Task = find_task(name)
        entry: dict[str, Any] = {
            key: getattr(task, key) for key in ("name", "version", "summary", "licence", "origin", "chance")
        }
        entry |= {"components": list(task.components), "answer_in_prompt": task.answer_in_prompt}
        if source.data is None and not task.generated:
            # Counting them would download them.
            entry["problem"] = "rows come from the Hub or an offline mirror; --data DIR counts the mirror's"
        else:
            try:
                entry["rows"] = _counts(task, source)
            except BadInput as error:
                entry["problem"] = str(error)
        entries.append(entry)
    return entries


def samples(name: str, source: Source) -> dict[str, Any]:
    """A task's first test rows, with the gold completion and its verdict, and the verdict on an empty one.

    Raises:
        UnknownName: no such task.
        BadInput: its rows cannot be had.
    """
    task: Task = find_task(name)
    shown = [
        {
            "id": row.id,
            "prompt": row.prompt,
            "gold": row.gold,
            "verdict": asdict(task.verify(row.gold, row)),
            "verdict_on_nothing": asdict(task.verify("", row)),
        }
        for row in task.rows("test", source)[:SAMPLES]
    ]
    return {"name": name, "summary": task.summary, "rows": _counts(task, source), "samples": shown}


def source_of(data: Path | None) -> Source:
    """A source from a folder the user named.

    Raises:
        BadInput: there is no such folder.
    """
    if data is not None and not data.is_dir():
        raise BadInput(f"--data {data}: no such folder; expected the mirror of the datasets (FACTORY_DATA)")
    return Source(data)


def _counts(task: Task, source: Source) -> dict[str, int]:
    return {split: len(task.rows(split, source)) for split in SPLITS}  # type: ignore[arg-type]
