"""Figures as SVG that stands inside the page: real text, the page's own text colour, the same bytes every time."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from factory.analysis.cells import BASE, Matrix, Mode
from factory.analysis.curves import Curve
from factory.analysis.table import percent, signed
from factory.analysis.transfer import changes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#010203"  # replaced by currentColor, so that a dark page gets light text
COLOURS = ("#3d85c6", "#d9822b", "#3a9d6b", "#a05fc0", "#c2504f", "#8a8a3a")
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "factory",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#808080",
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.parse_math": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


def heat_map(matrix: Matrix, mode: Mode) -> str:
    """Variants x benchmarks: the number is the accuracy in %, the colour the change against the base in points."""
    found = {(effect.variant, effect.benchmark): effect for effect in changes(matrix, mode)}
    rows, columns = matrix.variants, matrix.benchmarks
    shades = np.full((len(rows), len(columns)), np.nan)
    for i, variant in enumerate(rows):
        for j, benchmark in enumerate(columns):
            effect = found.get((variant, benchmark))
            if effect and effect.estimate:
                shades[i, j] = 100 * effect.estimate.value
            elif variant == BASE and matrix.score(variant, benchmark, mode):
                shades[i, j] = 0.0
    limit = max(10.0, float(np.nanmax(np.abs(shades)))) if not np.isnan(shades).all() else 10.0
    column = max(1.25, 0.078 * max(map(len, columns), default=0) + 0.15)
    names = 0.09 * max(map(len, rows), default=0)
    with drawing(1.0 + names + column * len(columns), 0.75 + 0.46 * len(rows)) as figure:
        axes = figure.subplots()
        axes.grid(False)
        image = axes.imshow(shades, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for i, variant in enumerate(rows):
            for j, benchmark in enumerate(columns):
                score = matrix.score(variant, benchmark, mode)
                if score:
                    effect = found.get((variant, benchmark))
                    change = f" ({signed(effect.estimate.value)})" if effect and effect.estimate else ""
                    colour = "#ffffff" if abs(shades[i, j]) > 0.62 * limit else "#1a1a1a"
                    axes.text(j, i, percent(score.value) + change, ha="center", va="center", color=colour)
        bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05)
        bar.set_label("change against base, points")
        bar.outline.set_visible(False)
        return svg(figure, f"heat-{mode}", f"Heat map of the matrix, {mode}; the table below has the same numbers")


def curve_panel(curves: Sequence[Curve], name: str) -> str:
    """One adapter on one task: the reward and its components by step, a thin line a seed and their smoothed mean."""
    names = ["reward", *dict.fromkeys(f"component:{part}" for curve in curves for part in curve.components())]
    with drawing(4.3, 2.7) as figure:
        axes = figure.subplots()
        for colour, series in zip(_cycled(len(names)), names, strict=True):
            label = series.partition(":")[2] or series
            for curve in curves:
                if series in curve.series:
                    axes.plot(curve.steps, curve.series[series], color=colour, alpha=0.4, linewidth=0.7)
            steps, values = _mean_curve(curves, series)
            dashes = "-" if series == "reward" else (0, (4, 1.5))
            axes.plot(steps, values, color=colour, linewidth=1.8, label=label, linestyle=dashes)
        top = axes.get_ylim()[1]
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(1.02, top))
        axes.set_xlabel("optimizer step")
        figure.legend(loc="outside upper left", ncols=4, handlelength=1.6, columnspacing=1.0)
        first = curves[0]
        return svg(figure, name, f"Learning curve of {first.variant} on {first.task}: {', '.join(names)} by step")


def stage_bars(stages: Mapping[str, Mapping[str, float]]) -> str:
    """CPU and wall minutes of each stage."""
    names = list(stages)
    with drawing(6.4, 0.9 + 0.5 * len(names)) as figure:
        axes = figure.subplots()
        places = np.arange(len(names))
        for shift, key, label, colour in (
            (-0.18, "cpu_seconds", "CPU", COLOURS[0]),
            (0.18, "wall_seconds", "wall", COLOURS[1]),
        ):
            minutes = [float(stages[name].get(key) or 0) / 60 for name in names]
            bars = axes.barh(places + shift, minutes, height=0.34, color=colour, label=label)
            axes.bar_label(bars, labels=[f"{value:.1f}" for value in minutes], padding=3, fontsize=9)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.grid(False, axis="y")
        axes.set_xlabel("minutes, all jobs of the stage together")
        figure.legend(loc="outside upper left", ncols=2)
        return svg(figure, "stages", "CPU and wall minutes of each stage; the table below has the same numbers")


def part_bars(parts: Mapping[str, Mapping[str, float]]) -> str:
    """Minutes each adapter's training spent on generation, scoring and update."""
    names, kinds = list(parts), list(dict.fromkeys(kind for times in parts.values() for kind in times))
    with drawing(6.4, 0.9 + 0.34 * len(names)) as figure:
        axes = figure.subplots()
        left = np.zeros(len(names))
        for colour, kind in zip(_cycled(len(kinds)), kinds, strict=True):
            minutes = np.array([parts[name].get(kind, 0.0) / 60 for name in names])
            axes.barh(names, minutes, left=left, height=0.6, color=colour, label=kind)
            left += minutes
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_xlabel("minutes of training")
        figure.legend(loc="outside upper left", ncols=4)
        return svg(figure, "parts", f"Minutes of training by part ({', '.join(kinds)}) for each adapter")


def _mean_curve(curves: Sequence[Curve], series: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the seeds at each step, then a centred running mean over a twentieth of the steps."""
    found: dict[float, list[float]] = {}
    for curve in curves:
        for step, value in zip(curve.steps, curve.series.get(series, ()), strict=False):
            if not np.isnan(value):
                found.setdefault(float(step), []).append(float(value))
    steps = np.array(sorted(found))
    values = np.array([np.mean(found[step]) for step in sorted(found)])
    reach = len(values) // 40
    smooth = [values[max(0, i - reach) : i + reach + 1].mean() for i in range(len(values))]
    return steps, np.array(smooth)


def _cycled(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


@contextmanager
def drawing(width_inches: float, height_inches: float) -> Iterator[Figure]:
    """A figure without pyplot: nothing global changes, no window system is asked for."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **STYLE}):
        yield Figure(figsize=(width_inches, height_inches), layout="constrained")


def svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an `<svg>` element: ids made unique by `name`, no prolog, no metadata, no address of any kind."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href").replace(INK, "currentColor")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    width = figure.get_figwidth() * 96
    size = rf'<svg role="img" aria-label="{html.escape(label)}" style="--natural: {width:.0f}px" \1'
    text = re.sub(r'<svg\b[^>]*?(viewBox="[^"]*")[^>]*', size, text, count=1)
    return re.sub(r"[ \t]+$", "", text, flags=re.M).strip()
