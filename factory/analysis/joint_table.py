"""The comparison of strategies as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from factory.analysis.joint import Group
from factory.analysis.over_seeds import SeedMean
from factory.analysis.standing import Comparison, Difference, Reached, comparisons, thresholds
from factory.analysis.table import NONE, WIDTH, percent, signed
from factory.core.study import Joint

LOOKS = 5
"""Moments of training at which the weights are told."""


def print_joint(groups: Sequence[Group], asked: Joint, width: int = WIDTH) -> str:
    """Every group of adapters that share their tasks; "" if there is none."""
    return "\n\n".join("\n".join(_lines(group, asked, width)) for group in groups)


def short(variant: str) -> str:
    """`adapter:dapo` as `dapo`: in a table of adapters alone."""
    return variant.removeprefix("adapter:")


def with_interval(mean: SeedMean | None, sign: bool = False) -> str:
    """`42.4 ±6.1`, of one seed `42.4`; a dash where there is none."""
    if mean is None:
        return NONE
    value = signed(mean.value) if sign else percent(mean.value)
    return value if mean.half_width is None else f"{value} ±{percent(mean.half_width)}"


def at_text(one: Comparison) -> str:
    """`after 60 optimizer steps`, `after 5,760 generated samples, as the least of the runs has`."""
    if one.axis == "steps":
        return f"after {one.at:g} optimizer steps"
    return f"after {one.at:,.0f} generated samples, the least that any run took"


def reached_text(one: Reached) -> str:
    """`40 (30, 40, 60)`; `never (0 of 3 seeds)`; the median counts a seed that never did as later than any step."""
    each = ", ".join("never" if step is None else f"{step:g}" for step in one.steps)
    if not one.count:
        return f"not reached ({one.count} of {one.seeds} {'seed' if one.seeds == 1 else 'seeds'})"
    return f"{'not reached' if one.median_steps is None else f'{one.median_steps:g}'} ({each})"


def joint_notes(group: Group) -> list[str]:
    """What a reader of the comparison must be told."""
    seeds = len(group.seeds)
    lines = [
        "One seed: no interval can be given; strategies may differ by the luck of training alone."
        if seeds == 1
        else f"± is half of the 95 % interval over {seeds} seeds (Student's t), the luck of training in it; "
        "differences are paired by seed. * = sure among all comparisons with that adapter (Holm, 5 %)."
    ]
    if any(run.has_curve for run in group.runs.values()):
        lines.append(
            f"Learning curves are scored on the first {group.curve_items} items of each benchmark; a threshold is "
            "reached at the first point that is at least as high. Between points, samples are interpolated."
        )
    else:
        lines.append("No learning curves: give the study 'curves: {every: 10}' for steps to a threshold.")
    ends = {run.last for run in group.runs.values()}
    if len(ends) > 1:
        lines.append(f"The recipes have different last steps ({', '.join(map(str, sorted(ends)))}).")
    lines += [f"{short(run.variant)}, seed {run.seed}: {run.stopped}." for run in group.runs.values() if run.stopped]
    missing = [f"{short(v)} at seed {s}" for v in group.variants for s in group.seeds if (v, s) not in group.runs]
    return [*lines, f"Not trained yet: {', '.join(missing)}."] if missing else lines


def _lines(group: Group, asked: Joint, width: int) -> list[str]:
    lines = [f"joint training on {', '.join(group.benchmarks)}: accuracy in %, {group.mode}"]
    for one in comparisons(group, asked.against):
        lines += ["", at_text(one), *_table(_standings(one, group))]
        for reference, rows in one.against.items():
            if rows:
                lines += [
                    "",
                    f"against {short(reference)}, {at_text(one).partition(', ')[0]}, points",
                    *_table(_against(rows)),
                ]
    found = thresholds(group, asked.thresholds)
    if found:
        levels = list(dict.fromkeys(one.threshold for one in found))
        heads = [f"worst task at {100 * level:g} %: steps" for level in levels]
        by = {(one.variant, one.threshold): reached_text(one) for one in found}
        reached = [[short(v), *(by.get((v, level), NONE) for level in levels)] for v in group.variants]
        lines += ["", *_table([["strategy", *heads], *reached])]
    lines += _weights(group)
    for note in joint_notes(group):
        lines += textwrap.wrap(note, width, initial_indent="- ", subsequent_indent="  ")
    return lines


def _standings(one: Comparison, group: Group) -> list[list[str]]:
    rows = [["strategy", "worst task", "average", *group.benchmarks, "samples"]]
    for standing in one.standings:
        samples = NONE if standing.samples is None else f"{standing.samples.value:,.0f}"
        tasks = [with_interval(standing.tasks[name]) for name in group.benchmarks]
        means = [with_interval(standing.worst), with_interval(standing.average)]
        rows.append([short(standing.variant), *means, *tasks, samples])
    return rows


def _against(rows: Sequence[Difference]) -> list[list[str]]:
    table = [["strategy", "worst task", "average", "relative change of the tasks, %"]]
    for row in rows:
        worst = with_interval(row.worst, sign=True) + _star(row.p_worst)
        average = with_interval(row.average, sign=True) + _star(row.p_average)
        table.append([short(row.variant), worst, average, with_interval(row.relative, sign=True)])
    return table


def _star(p: float | None) -> str:
    return "*" if p is not None and p < 0.05 else ""


def _weights(group: Group) -> list[str]:
    """The weights that changed, at a few moments, as means over the seeds."""
    rows = []
    looks: list[int] = []
    for variant in group.variants:
        tracks = [run.trajectory for run in group.of(variant) if run is not None and run.trajectory is not None]
        if not any(track.adaptive for track in tracks):
            continue
        last = min(len(track.steps) for track in tracks)
        looks = looks or [int(step) for step in tracks[0].steps[np.linspace(0, last - 1, min(LOOKS, last)).astype(int)]]
        for place, task in enumerate(tracks[0].weights):
            values = [np.mean([np.interp(step, t.steps, t.weights[task]) for t in tracks]) for step in looks]
            rows.append([short(variant) if not place else "", task, *(f"{value:.2f}" for value in values)])
    if not rows:
        return [""]
    return [
        "",
        "weights z, means over the seeds",
        *_table([["strategy", "task", *(f"step {s}" for s in looks)], *rows]),
        "",
    ]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(text.ljust(size) for text, size in zip(row, widths, strict=True)).rstrip() for row in rows]
