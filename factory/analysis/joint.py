"""Adapters that share their tasks under different strategies: what each makes of its worst task, and how soon.

Worst-task and average accuracy, and the average relative change of the tasks, are MT-GRPO's (arXiv 2602.05547, section
5): min_k Acc_k, mean_k Acc_k, and 100 / K * sum_k (Acc_k - Acc'_k) / Acc'_k against a reference. All of them are taken
seed by seed and then averaged, so that comparisons are paired. The smallest of several measured accuracies lies a
little below the smallest true one; it does so for all strategies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from factory.analysis.cells import BASE, Cell, Matrix, Mode, load_cell
from factory.analysis.statistics import Array
from factory.analysis.trajectories import Trajectory, load_trajectory
from factory.store.ref import Ref
from factory.store.store import Store


@dataclass(frozen=True)
class Run:
    """One adapter at one seed.

    Attributes:
        last: the recipe's last step.
        stopped: why training ended before it, None if it did not.
        final: accuracy of the finished adapter on each benchmark of the group, (tasks,); None if not all are scored.
        steps: of its learning curve on held-out items, from 0; of the base and the end alone without one, (points,).
        accuracy: (points, tasks).
        trajectory: None if it was trained without a log.
    """

    variant: str
    seed: int
    last: int
    stopped: str | None
    final: Array | None
    steps: Array
    accuracy: Array
    trajectory: Trajectory | None

    @property
    def worst(self) -> Array:
        """Accuracy of the worst task at each point, (points,)."""
        lowest: Array = self.accuracy.min(axis=1)
        return lowest

    @property
    def average(self) -> Array:
        """Mean accuracy over the tasks at each point, (points,)."""
        mean: Array = self.accuracy.mean(axis=1)
        return mean

    @property
    def has_curve(self) -> bool:
        """Whether it was scored at steps between the base and the end."""
        return len(self.steps) > 2

    def samples(self) -> Array | None:
        """Completions generated until each point of the curve, (points,); None without a log."""
        if self.trajectory is None:
            return None
        return np.array([self.trajectory.samples_at(step) for step in self.steps])

    def at_step(self, step: int) -> Array | None:
        """Accuracy after a step, (tasks,): of the finished adapter at its last, else a point of the curve."""
        if step == self.last:
            return self.final
        places = np.flatnonzero(self.steps == step)
        return self.accuracy[places[0]] if places.size else None

    def at_samples(self, count: float) -> Array | None:
        """Accuracy when so many completions had been generated, between two points in proportion, (tasks,)."""
        samples = self.samples()
        if samples is None or not self.has_curve or count > samples[-1]:
            return None
        return np.array([np.interp(count, samples, column) for column in self.accuracy.T])

    def reached(self, threshold: float) -> float | None:
        """The first point of the curve at which the worst task is at least that good, in steps; None if none is."""
        places = np.flatnonzero(self.worst >= threshold)
        return float(self.steps[places[0]]) if places.size else None


@dataclass(frozen=True)
class Group:
    """Adapters of the same tasks.

    Attributes:
        benchmarks: one or more for each task, in the matrix's order.
        variants: in the study's order.
        seeds: of the study.
        runs: by (variant, seed); one that is not in the store is not there.
        mode: how completions were drawn.
        items: of the benchmark that has the fewest, for the finished adapters.
        curve_items: of each benchmark in the learning curves; 0 without any.
    """

    benchmarks: tuple[str, ...]
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: Mapping[tuple[str, int], Run]
    mode: Mode
    items: int
    curve_items: int

    def of(self, variant: str) -> list[Run | None]:
        """The runs of a variant, seed by seed."""
        return [self.runs.get((variant, seed)) for seed in self.seeds]

    @property
    def last(self) -> int:
        """The last step that all recipes have."""
        return min((run.last for run in self.runs.values()), default=0)

    def shared_samples(self) -> float | None:
        """The most completions that every run has generated at its end; None if that is not known of all."""
        runs = self.runs.values()
        ends = [run.trajectory.samples[-1] for run in runs if run.trajectory is not None and run.has_curve]
        return float(min(ends)) if ends and len(ends) == len(runs) else None


def joint_groups(store: Store, card: Mapping[str, Any], matrix: Matrix) -> list[Group]:
    """Groups of two or more adapters that were trained on the same two or more tasks.

    Args:
        card: of the study.

    Raises:
        CorruptFile: a cell or a training log is damaged.
        StoreError: a cell that the card names is not in the store.
    """
    modes = matrix.modes()
    by_tasks: dict[tuple[str, ...], list[str]] = {}
    for variant in matrix.variants:
        tasks = matrix.trained_tasks(variant)
        if variant.startswith("adapter:") and len(tasks) > 1:
            by_tasks.setdefault(tuple(sorted(tasks)), []).append(variant)
    wanted = [variants for variants in by_tasks.values() if len(variants) > 1]
    if not modes or not wanted:
        return []
    points = _points(store, card)
    adapters = {
        (entry["name"], entry["seed"]): Ref(**entry["ref"]) for entry in card["variants"] if entry["ref"] is not None
    }
    return [
        group
        for variants in wanted
        if (group := _group(store, matrix, modes[0], variants, adapters, points)).benchmarks
    ]


Points = Mapping[tuple[str, str, int], Mapping[int, Cell]]


def _points(store: Store, card: Mapping[str, Any]) -> Points:
    """The cells of the learning curves, by adapter, benchmark and seed, then by step."""
    found: dict[tuple[str, str, int], dict[int, Cell]] = {}
    for ref in card.get("points") or []:
        cell = load_cell(store, Ref(**ref))
        variant, _, step = cell.variant.rpartition("@")
        found.setdefault((variant, cell.benchmark, cell.seed), {})[int(step)] = cell
    return found


def _group(
    store: Store,
    matrix: Matrix,
    mode: Mode,
    variants: Sequence[str],
    adapters: Mapping[tuple[str, int], Ref],
    points: Points,
) -> Group:
    own = tuple(name for name in matrix.benchmarks if all(matrix.trained(variant, name) for variant in variants))
    runs = {
        (variant, seed): _run(store.path(ref), store.card(ref), matrix, mode, (variant, seed), own, points)
        for variant in variants
        for seed in matrix.seeds
        if (ref := adapters.get((variant, seed))) is not None and store.has(ref)
    }
    ends = [len(_items(cell, mode)) for cell in matrix.cells.values() if cell.variant in variants]
    scored = [len(_items(cell, mode)) for key, cells in points.items() if key[0] in variants for cell in cells.values()]
    return Group(own, tuple(variants), matrix.seeds, runs, mode, min(ends, default=0), max(scored, default=0))


def _run(
    folder: Path,
    card: Mapping[str, Any],
    matrix: Matrix,
    mode: Mode,
    who: tuple[str, int],
    benchmarks: Sequence[str],
    points: Points,
) -> Run:
    variant, seed = who
    last = int(card["recipe"]["max_steps"])
    curves = [_curve(matrix, mode, who, name, last, points.get((variant, name, seed), {})) for name in benchmarks]
    steps = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
    ends = [matrix.cells.get((variant, name, seed)) for name in benchmarks]
    final = [_mean(cell, mode) for cell in ends]
    return Run(
        variant=variant,
        seed=seed,
        last=last,
        stopped=card.get("warning"),
        final=None if None in final or not final else np.array(final, dtype=np.float64),
        steps=np.array(steps, dtype=np.float64),
        accuracy=np.array([[curve[step] for curve in curves] for step in steps], dtype=np.float64).reshape(
            len(steps), len(benchmarks)
        ),
        trajectory=load_trajectory(folder),
    )


def _curve(
    matrix: Matrix, mode: Mode, who: tuple[str, int], benchmark: str, last: int, between: Mapping[int, Cell]
) -> dict[int, float]:
    """Accuracy by step: of the base, of the steps between, of the finished adapter, all on the same items."""
    variant, seed = who
    base, end = matrix.cells.get((BASE, benchmark, seed)), matrix.cells.get((variant, benchmark, seed))
    cells = {**({0: base} if base else {}), **between, **({last: end} if end else {})}
    shared = set.intersection(*(_items(cell, mode) for cell in cells.values())) if cells else set()
    values = {step: _mean(cell, mode, shared) for step, cell in sorted(cells.items())}
    return {step: value for step, value in values.items() if value is not None}


def _items(cell: Cell, mode: Mode) -> set[str]:
    return set(cell.items) if (cell.scores.size if mode == "sampled" else cell.greedy.size) else set()


def _mean(cell: Cell | None, mode: Mode, only: set[str] | None = None) -> float | None:
    """Mean over the items' means; None if nothing is scorable."""
    if cell is None:
        return None
    values = [value for item, value in cell.item_means(mode).items() if only is None or item in only]
    return float(np.mean(values)) if values else None
