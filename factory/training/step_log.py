"""The callback of trainings that are not GRPO: a line a step in the metrics file, checkpoints that are sealed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factory.training.checkpoints import seal
from factory.training.lesson import Work
from factory.training.metrics import MetricsFile

Tasks = Callable[[int, Sequence[int]], dict[str, Any]]
"""What a step (from 1) showed of each task, by its number and the lengths of what the model wrote in it."""


@dataclass
class Written:
    """What the model wrote in the step that is being taken.

    Attributes:
        lengths: tokens of each completion, in the order of the step's prompts; [] where nothing is written.
        seconds: that it took.
    """

    lengths: list[int] = field(default_factory=list)
    seconds: float = 0.0


def step_log(work: Work, metrics: MetricsFile, tasks_of: Tasks, written: Written) -> Any:
    """The trainer's callback."""
    from transformers import TrainerCallback

    class StepLog(TrainerCallback):  # type: ignore[misc]
        begun = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.begun = time.monotonic()
            written.lengths, written.seconds = [], 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            work.keep(model, state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if not logs or "loss" not in logs:
                return
            took = time.monotonic() - self.begun
            line = {
                "step": state.global_step,
                "tasks": tasks_of(state.global_step, written.lengths),
                "seconds": {
                    "generation": round(written.seconds, 4),
                    "scoring": 0.0,
                    "update": round(took - written.seconds, 4),
                },
                **{key: logs.get(key) for key in ("loss", "grad_norm", "learning_rate", "entropy")},
            }
            metrics.append(line)
            work.on_step(line)

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            metrics.sync()
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}", work.of)

    return StepLog()
