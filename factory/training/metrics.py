"""The metrics file: one JSON line for each optimizer step, per task and component."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factory.core.atomic import write_text
from factory.rewards import Scorer
from factory.training.groups import Group
from factory.training.selection import Filter, is_informative

FILE = "metrics.jsonl"


class MetricsFile:
    """Appends a line a step; on resume, forgets the steps after the checkpoint.

    Args:
        path: of the file.
        resume_step: the checkpoint's step; later lines are dropped.

    Attributes:
        lines: of all steps so far.
        stopped: why training ended early, None if it did not.
    """

    def __init__(self, path: Path, resume_step: int) -> None:
        self._path = path
        self.stopped: str | None = None
        # The last line may be cut off by a kill; it then belongs to a step after the checkpoint.
        kept = path.read_text(encoding="utf-8").splitlines()[:resume_step] if path.exists() else []
        write_text(path, "".join(f"{line}\n" for line in kept))
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in kept]

    def append(self, line: dict[str, Any]) -> None:
        """Write the line of a step."""
        self.lines.append(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def sync(self) -> None:
        """Flush to disk, before a checkpoint is declared whole."""
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def task_line(
    task: str, seen: Sequence[Group], kept: Sequence[Group], scorer: Scorer, filter: Filter
) -> dict[str, Any]:
    """What a step showed of one task.

    Args:
        seen: its groups that were generated, at least one.
        kept: those of them that are trained on.
        filter: says which of them are informative.
    """
    verdicts = [verdict for group in seen for verdict in group.verdicts]
    return {
        "prompts": len(seen),
        "kept": len(kept),
        "informative": sum(is_informative(group, filter) for group in seen),
        "completions": len(verdicts),
        "reward": mean([reward for group in seen for reward in group.rewards]),
        "components": {
            name: mean([scorer.value(name, task, verdict) for verdict in verdicts]) for name in scorer.components(task)
        },
        "zero_variance": sum(group.spread == 0 for group in seen) / len(seen),
        "length": mean([float(len(ids)) for group in seen for ids in group.completion_ids]),
        "unscorable": sum(verdict.score is None for verdict in verdicts),
    }


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of what there is; None if there is nothing."""
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None
