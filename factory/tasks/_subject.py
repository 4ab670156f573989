"""What the laws of tasks look at: a task and rows of it, here and in another process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory.core import discover
from factory.core.errors import BadInput
from factory.core.records import Row, Split
from factory.tasks._find import find_task
from factory.tasks._on_demand import OnDemand
from factory.tasks._task import Source, Task

MOST_DRAWN = 200
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Subject:
    """A task and the rows of it that the laws look at.

    Attributes:
        task: the task.
        splits: its rows.
        source: where they came from.
        most: how many of a split were taken, None for all.
    """

    task: Task
    splits: Mapping[Split, Sequence[Row]]
    source: Source
    most: int | None = None

    @classmethod
    def of(cls, name: str, source: Source, most: int | None = None) -> Subject:
        """The task of that name; of rows that are drawn when looked at, `MOST_DRAWN` unless `most` says otherwise.

        Raises:
            UnknownName: no such task.
            BadInput: its rows cannot be had.
        """
        task = find_task(name)
        splits = {}
        for split in task.splits:
            rows = task.rows(split, source)
            most = most or (MOST_DRAWN if isinstance(rows, OnDemand) else None)
            splits[split] = list(rows[:most])
        return cls(task, splits, source, most)

    @property
    def held_out(self) -> Sequence[Row]:
        """The rows of the last split, which is `test` where there is one."""
        return self.splits[self.task.splits[-1]]


def answer_of(row: Row) -> str:
    """The answer alone: what stands in its envelope, after `####`, or the whole gold completion."""
    text = row.gold
    if "<answer>" in text:
        return text.partition("<answer>")[2].partition("</answer>")[0].strip()
    if "\\boxed{" in text:
        return text.rpartition("\\boxed{")[2].removesuffix("}")
    return text.rpartition("####")[2].strip()


def spread(rows: Sequence[Row], count: int) -> Sequence[Row]:
    """Rows from the whole split, not only from its start."""
    return rows[:: max(1, len(rows) // count)][:count]


def texts_of(rows: Sequence[Row]) -> list[Row]:
    """The rows whose answer is not a number."""
    return [row for row in rows if not NUMBER.fullmatch(answer_of(row))]


_ELSEWHERE = """
import json, sys
from pathlib import Path
from factory.core import discover
from factory.core.hashing import key_of
from factory.tasks._subject import Subject
from factory.tasks._task import Source
asked, source, root = json.loads(sys.argv[1])
discover.set_user_root(Path(root))
found = {}
for name, most in asked:
    splits = Subject.of(name, Source.from_json(source), most).splits
    found[name] = {split: key_of([row.id for row in rows]) for split, rows in splits.items()}
print(json.dumps(found))
"""
ELSEWHERE_SECONDS = 600


def rows_elsewhere(
    asked: Sequence[tuple[str, int | None]], source: Source, hash_seed: str
) -> dict[str, dict[Split, str]]:
    """A hash of the ids of each task's splits, found by a fresh process whose sets are in another order.

    Args:
        asked: names of tasks, and how many rows of a split to take.
        source: where the rows are.
        hash_seed: PYTHONHASHSEED.

    Raises:
        BadInput: the process failed.
    """
    root = str(discover.user_root().resolve())
    arguments = json.dumps([asked, source.to_json(), root])
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=ELSEWHERE_SECONDS,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    if done.returncode:
        raise BadInput(f"another process cannot load the rows: {done.stderr.strip()[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
