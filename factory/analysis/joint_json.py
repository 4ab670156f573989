"""The comparison of strategies as JSON: what `matrix.json` holds under `joint`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from factory.analysis.joint import Group, Run
from factory.analysis.over_seeds import SeedMean
from factory.analysis.standing import Comparison, Reached, comparisons, thresholds
from factory.analysis.statistics import Array
from factory.core.study import Joint


def joint_json(groups: Sequence[Group], asked: Joint) -> list[dict[str, Any]]:
    """Every group: standings, differences, thresholds, and each run's curve and trajectory.

    Shares are in [0, 1]; `low` and `high` are the ends of 95 % intervals over seeds.
    """
    return [
        {
            "benchmarks": list(group.benchmarks),
            "variants": list(group.variants),
            "seeds": list(group.seeds),
            "mode": group.mode,
            "items": group.items,
            "curve_items": group.curve_items,
            "comparisons": [_comparison(one) for one in comparisons(group, asked.against)],
            "thresholds": [_reached(one) for one in thresholds(group, asked.thresholds)],
            "runs": [_run(run, group) for run in group.runs.values()],
        }
        for group in groups
    ]


def _comparison(one: Comparison) -> dict[str, Any]:
    return {
        "axis": one.axis,
        "at": one.at,
        "standings": [
            {
                "variant": standing.variant,
                "worst": _mean(standing.worst),
                "average": _mean(standing.average),
                "tasks": {name: _mean(value) for name, value in standing.tasks.items()},
                "samples": _mean(standing.samples),
            }
            for standing in one.standings
        ],
        "against": {
            reference: [
                {
                    "variant": row.variant,
                    "worst": _mean(row.worst),
                    "average": _mean(row.average),
                    "relative": _mean(row.relative),
                    "p_worst": _rounded(row.p_worst),
                    "p_average": _rounded(row.p_average),
                }
                for row in rows
            ]
            for reference, rows in one.against.items()
        },
    }


def _reached(one: Reached) -> dict[str, Any]:
    return {
        "variant": one.variant,
        "threshold": one.threshold,
        "steps": one.steps,
        "samples": one.samples,
        "reached": one.count,
        "seeds": one.seeds,
        "median_steps": one.median_steps,
    }


def _run(run: Run, group: Group) -> dict[str, Any]:
    track, samples = run.trajectory, run.samples()
    return {
        "variant": run.variant,
        "seed": run.seed,
        "stopped": run.stopped,
        "curve": {
            "steps": _numbers(run.steps),
            "samples": None if samples is None else _numbers(samples),
            "accuracy": {name: _numbers(run.accuracy[:, place]) for place, name in enumerate(group.benchmarks)},
        },
        "trajectory": None
        if track is None
        else {
            "steps": _numbers(track.steps),
            "weights": {task: _numbers(values) for task, values in track.weights.items()},
            "shares": {task: _numbers(values) for task, values in track.shares.items()},
        },
    }


def _mean(value: SeedMean | None) -> dict[str, Any] | None:
    return None if value is None else value.to_json()


def _numbers(values: Array) -> list[float | None]:
    return [_rounded(float(value)) for value in values]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
