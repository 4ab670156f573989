"""The metrics file: one JSON line for each optimizer step, per task and component."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from factory.core.atomic import write_text
from factory.rewards import Scorer

FILE = "metrics.jsonl"


class MetricsFile:
    """Appends a line a step; on resume, forgets the steps after the checkpoint.

    Args:
        path: of the file.
        scorer: whose per-task statistics go into it.
        resume_step: the checkpoint's step; later lines are dropped.
    """

    def __init__(self, path: Path, scorer: Scorer, resume_step: int) -> None:
        self._path, self._scorer = path, scorer
        self._begun = time.monotonic()
        # The last line may be cut off by a kill; it then belongs to a step after the checkpoint.
        kept = path.read_text(encoding="utf-8").splitlines()[:resume_step] if path.exists() else []
        write_text(path, "".join(f"{line}\n" for line in kept))

    def begin_step(self) -> None:
        """A step starts: generation first."""
        self._begun = time.monotonic()
        self._scorer.seconds, self._scorer.calls = 0.0, 0

    def end_step(self, step: int, logs: dict[str, Any]) -> dict[str, Any]:
        """Write the line of a step; gives it.

        Seconds are wall time: generation is from the step's start to the first verification, scoring is inside the
        verifiers, update is the rest.
        """
        seconds = time.monotonic() - self._begun
        generation = self._scorer.started_at - self._begun if self._scorer.calls else 0.0
        line = {
            "step": step,
            "tasks": self._scorer.take(),
            "seconds": {
                "generation": round(generation, 4),
                "scoring": round(self._scorer.seconds, 4),
                "update": round(seconds - generation - self._scorer.seconds, 4),
            },
            **{key: logs.get(key) for key in ("loss", "grad_norm", "kl", "learning_rate", "entropy")},
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return line

    def sync(self) -> None:
        """Flush to disk, before a checkpoint is declared whole."""
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
