"""Figures of learning curves on held-out items: one for each adapter, a line for each benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from factory.analysis.held_out import HeldOut
from factory.analysis.statistics import Array
from factory.report.figures import COLOURS, drawing, svg


def held_out_views(curves: Sequence[HeldOut]) -> list[tuple[str, int, str]]:
    """For each adapter its name, the items of the benchmark that has the fewest, and the figure."""
    by_variant: dict[str, list[HeldOut]] = {}
    for curve in curves:
        by_variant.setdefault(curve.variant, []).append(curve)
    return [
        (variant, min(curve.items for curve in own), held_out_figure(own, f"heldout{place}"))
        for place, (variant, own) in enumerate(by_variant.items())
    ]


def held_out_figure(curves: Sequence[HeldOut], name: str) -> str:
    """Accuracy by step: a thin line a seed, a thick one their mean."""
    benchmarks = list(dict.fromkeys(curve.benchmark for curve in curves))
    with drawing(4.3, 2.7) as figure:
        axes = figure.subplots()
        for place, benchmark in enumerate(benchmarks):
            colour = COLOURS[place % len(COLOURS)]
            lines = [(curve.steps, 100 * curve.accuracy) for curve in curves if curve.benchmark == benchmark]
            for x, y in lines:
                axes.plot(x, y, color=colour, alpha=0.35, linewidth=0.7)
            axes.plot(*mean_line(lines), color=colour, linewidth=1.9, label=benchmark)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("optimizer step")
        axes.set_ylabel("accuracy, %")
        figure.legend(loc="outside upper left", ncols=3, handlelength=1.6, columnspacing=1.0)
        return svg(figure, name, f"Accuracy of {curves[0].variant} on held-out items by step: {', '.join(benchmarks)}")


def mean_line(lines: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """The mean over lines where all of them have got to; each is linear between its points."""
    end = min(float(x[-1]) for x, _ in lines)
    places = np.unique(np.concatenate([x[x <= end] for x, _ in lines] + [[end]]))
    return places, np.mean([np.interp(places, x, y) for x, y in lines], axis=0)
