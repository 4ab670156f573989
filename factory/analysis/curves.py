"""Learning curves of adapters, from the line a step that training leaves in `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from factory.analysis.statistics import Array
from factory.core.atomic import read_jsonl
from factory.core.errors import CorruptFile

METRICS = "metrics.jsonl"
PLAIN = ("reward", "zero_variance", "length", "unscorable")


@dataclass(frozen=True)
class Curve:
    """What one training run logged of one task, step by step.

    Attributes:
        steps: optimizer steps at which the task had prompts, (steps,).
        series: by name, (steps,), NaN where a step did not log it: `reward`, `zero_variance` (share of groups whose
            rewards are all equal, which teach nothing), `length` (tokens), `unscorable` (completions), and the reward's
            components as `component:correct`.
    """

    variant: str
    seed: int
    task: str
    steps: Array
    series: Mapping[str, Array]

    def components(self) -> list[str]:
        """Names of the reward's components, in the order logged."""
        return [name.partition(":")[2] for name in self.series if name.startswith("component:")]

    def ends(self, name: str, share: float = 0.1) -> tuple[float, float] | None:
        """Means over the first and the last tenth of the steps (at least one step each); None if nothing was logged."""
        values = self.series[name][~np.isnan(self.series[name])]
        if not values.size:
            return None
        count = max(1, round(share * len(values)))
        return float(values[:count].mean()), float(values[-count:].mean())


def load_curves(folder: Path, variant: str, seed: int) -> list[Curve]:
    """The curves of one adapter, one for each task; none if it was not trained with a log.

    Raises:
        CorruptFile: a line is not what training writes.
    """
    path = folder / METRICS
    if not path.is_file():
        return []
    lines = read_jsonl(path)
    try:
        tasks = list(dict.fromkeys(task for line in lines for task in line.get("tasks", {})))
        return [_curve(lines, task, variant, seed) for task in tasks]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CorruptFile(f"{path}: not a training log ({error}); remove the adapter's folder and run again") from error


def _curve(lines: Iterable[Mapping[str, Any]], task: str, variant: str, seed: int) -> Curve:
    seen = [line for line in lines if task in line.get("tasks", {})]
    logged = [line["tasks"][task] for line in seen]
    components = dict.fromkeys(name for entry in logged for name in entry.get("components") or {})
    series = {name: _array(entry.get(name) for entry in logged) for name in PLAIN}
    for name in components:
        series[f"component:{name}"] = _array((entry.get("components") or {}).get(name) for entry in logged)
    return Curve(variant, seed, task, _array(line["step"] for line in seen), series)


def _array(values: Iterable[float | None]) -> Array:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
