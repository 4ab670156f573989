"""Strategies compared: learning curves on held-out items, and how each shared its steps among the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from factory.analysis.joint import Group, Run
from factory.analysis.joint_table import at_text, joint_notes, short
from factory.analysis.standing import Comparison, Reached, comparisons, thresholds
from factory.analysis.statistics import Array
from factory.analysis.trajectories import Trajectory
from factory.core.study import Joint
from factory.report.figures import COLOURS, drawing, svg

SMOOTH = 20
"""Realised shares are shown as running means over this part of the steps, one step being a handful of groups."""


@dataclass(frozen=True, slots=True)
class JointView:
    """One group of strategies as the page shows it.

    Attributes:
        curves: by steps and by samples; "" without learning curves.
        weights: by variant.
        levels: thresholds, and what reached them by (variant, threshold).
    """

    benchmarks: tuple[str, ...]
    variants: tuple[str, ...]
    mode: str
    comparisons: list[tuple[str, Comparison]]
    levels: list[float]
    reached: dict[tuple[str, float], Reached]
    curves: list[str]
    weights: list[tuple[str, str]]
    notes: list[str]


def joint_views(groups: Sequence[Group], asked: Joint) -> list[JointView]:
    """One view for each group of adapters that share their tasks."""
    return [_view(group, asked, f"joint{place}") for place, group in enumerate(groups)]


def _view(group: Group, asked: Joint, name: str) -> JointView:
    found = thresholds(group, asked.thresholds)
    curves = []
    if any(run.has_curve for run in group.runs.values()):
        curves.append(curve_figure(group, asked, f"{name}-steps", by_samples=False))
        if group.shared_samples() is not None:
            curves.append(curve_figure(group, asked, f"{name}-samples", by_samples=True))
    weights = []
    for place, variant in enumerate(group.variants):
        tracks = [run.trajectory for run in group.of(variant) if run is not None and run.trajectory is not None]
        if tracks:
            weights.append((short(variant), weights_figure(tracks, f"{name}-weights{place}", short(variant))))
    return JointView(
        benchmarks=group.benchmarks,
        variants=group.variants,
        mode=group.mode,
        comparisons=[(at_text(one), one) for one in comparisons(group, asked.against)],
        levels=list(dict.fromkeys(one.threshold for one in found)),
        reached={(one.variant, one.threshold): one for one in found},
        curves=curves,
        weights=weights,
        notes=joint_notes(group),
    )


def curve_figure(group: Group, asked: Joint, name: str, *, by_samples: bool) -> str:
    """Worst-task and average accuracy of every strategy: a thin line a seed, a thick one their mean."""
    what = "generated samples, thousands" if by_samples else "optimizer steps"
    with drawing(9.2, 3.7) as figure:
        for axes, title in zip(figure.subplots(1, 2, sharey=True), ("worst task", "average of the tasks"), strict=True):
            for place, variant in enumerate(group.variants):
                colour = COLOURS[place % len(COLOURS)]
                runs = [run for run in group.of(variant) if run is not None and run.has_curve]
                lines = [
                    (_x(run, by_samples), 100 * (run.worst if title == "worst task" else run.average)) for run in runs
                ]
                for x, y in lines:
                    axes.plot(x, y, color=colour, alpha=0.35, linewidth=0.7)
                if lines:
                    axes.plot(*_mean_line(lines), color=colour, linewidth=1.9, label=short(variant))
            for level in asked.thresholds if title == "worst task" else []:
                axes.axhline(100 * level, color="#808080", linewidth=0.8, linestyle=(0, (2, 2)))
            axes.set_title(title, fontsize=10)
            axes.set_xlabel(what)
        figure.axes[0].set_ylabel("accuracy, %")
        figure.axes[0].set_ylim(bottom=0)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=6, handlelength=1.6, columnspacing=1.0)
        return svg(figure, name, f"Worst-task and average accuracy by {what}: {', '.join(map(short, group.variants))}")


def weights_figure(tracks: Sequence[Trajectory], name: str, title: str) -> str:
    """Each task's weight z by step (solid; thin lines are seeds) and the share of the steps it got (dashed)."""
    with drawing(4.3, 2.7) as figure:
        axes = figure.subplots()
        for place, task in enumerate(tracks[0].weights):
            colour = COLOURS[place % len(COLOURS)]
            wanted = [(track.steps, track.weights[task]) for track in tracks if task in track.weights]
            for x, y in wanted:
                axes.plot(x, y, color=colour, alpha=0.35, linewidth=0.7)
            axes.plot(*_mean_line(wanted), color=colour, linewidth=1.9, label=task)
            got = [(track.steps, _running(track.shares[task])) for track in tracks if task in track.shares]
            axes.plot(*_mean_line(got), color=colour, linewidth=1.2, linestyle=(0, (4, 1.5)))
        axes.set_ylim(0, 1)
        axes.set_xlabel("optimizer step")
        figure.legend(loc="outside upper left", ncols=3, handlelength=1.6, columnspacing=1.0)
        return svg(figure, name, f"Task weights of {title} by step, and the shares of the steps that the tasks got")


def _x(run: Run, by_samples: bool) -> Array:
    samples = run.samples() if by_samples else None
    return run.steps if samples is None else samples / 1000


def _mean_line(lines: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The mean over lines where all of them have got to; each is linear between its points."""
    end = min(float(x[-1]) for x, _ in lines)
    places = np.unique(np.concatenate([x[x <= end] for x, _ in lines] + [[end]]))
    return places, np.mean([np.interp(places, x, y) for x, y in lines], axis=0)


def _running(values: Array) -> Array:
    """A centred running mean."""
    reach = max(1, len(values) // SMOOTH)
    return np.array([values[max(0, i - reach) : i + reach + 1].mean() for i in range(len(values))])
