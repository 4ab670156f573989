"""How a training run shared its steps among its tasks, from the line a step that it leaves in `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from factory.analysis.curves import METRICS
from factory.analysis.statistics import Array
from factory.core.atomic import read_jsonl
from factory.core.errors import CorruptFile


@dataclass(frozen=True)
class Trajectory:
    """What a run's steps were made of.

    Attributes:
        steps: optimizer steps, (steps,).
        samples: completions generated up to and with each step, those that were filtered out too, (steps,).
        weights: z by task: the share of each step that the strategy wanted it to have, (steps,).
        shares: by task, the share of the step's groups that it got, (steps,).
        informative: by task, the share of its generated groups whose rewards differ, NaN where it had none, (steps,).
    """

    steps: Array
    samples: Array
    weights: Mapping[str, Array]
    shares: Mapping[str, Array]
    informative: Mapping[str, Array]

    @property
    def adaptive(self) -> bool:
        """Whether the weights changed."""
        return any(bool(np.ptp(values) > 1e-9) for values in self.weights.values())

    def samples_at(self, step: float) -> float:
        """Completions generated until a step is done; after the last one no more are."""
        return float(np.interp(step, np.concatenate([[0.0], self.steps]), np.concatenate([[0.0], self.samples])))


def load_trajectory(folder: Path) -> Trajectory | None:
    """The trajectory of an adapter; None if it was trained without a log.

    Raises:
        CorruptFile: a line is not what training writes.
    """
    path = folder / METRICS
    lines = read_jsonl(path) if path.is_file() else []
    if not any("strategy" in line for line in lines):
        return None  # of a training that draws nothing
    try:
        return _trajectory(lines)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CorruptFile(f"{path}: not a training log ({error}); remove the adapter's folder and run again") from error


def _trajectory(lines: Sequence[Mapping[str, Any]]) -> Trajectory:
    told = [line.get("strategy") or {} for line in lines]
    tasks = list(dict.fromkeys(task for line in lines for task in line["tasks"]))
    generated = [sum(task["completions"] for task in line["tasks"].values()) for line in lines]
    return Trajectory(
        steps=_array(line["step"] for line in lines),
        samples=np.cumsum(_array(generated)),
        weights={task: _array((one.get("weights") or {}).get(task, 0.0) for one in told) for task in tasks},
        shares={task: _array((one.get("share") or {}).get(task, 0.0) for one in told) for task in tasks},
        informative={task: _array(_informative(line["tasks"].get(task)) for line in lines) for task in tasks},
    )


def _informative(entry: Mapping[str, Any] | None) -> float | None:
    return None if entry is None else 1 - entry["zero_variance"]


def _array(values: Iterable[float | None]) -> Array:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
