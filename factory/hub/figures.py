"""The two pictures of a model card, as PNG: the Hub's pages show those everywhere. The same data, the same bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from factory.analysis.curves import Curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE_COLOUR, OWN_COLOUR = "#9aa5b1", "#2f6fb0"
COLOURS = ("#2f6fb0", "#d9822b", "#3a9d6b", "#a05fc0", "#c2504f")
_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#d5d9de",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.parse_math": False,
}


def results_png(results: Sequence[Mapping[str, Any]], name: str) -> bytes:
    """A variant's row: accuracy on each benchmark, beside the base's where that is known, with 95 % intervals."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE}):
        figure = Figure(figsize=(7.2, 1.3 + 0.55 * len(results)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(results))
        beside = 0.19 if any(result["base"] for result in results) else 0.0
        for shift, label, colour, records in (
            (-beside, "base", BASE_COLOUR, [result["base"] for result in results]),
            (beside, name, OWN_COLOUR, results),
        ):
            known = [(place, record) for place, record in zip(places, records, strict=True) if record]
            if not known:
                continue
            values = np.array([100 * record["value"] for _, record in known])
            ends = np.array([[100 * record["low"], 100 * record["high"]] for _, record in known]).T
            rows = np.array([place for place, _ in known]) + shift
            axes.barh(rows, values, height=0.36, color=colour, label=label)
            errors = np.abs(ends - values)
            axes.errorbar(values, rows, xerr=errors, fmt="none", ecolor="#333333", elinewidth=1, capsize=2)
        axes.set_yticks(places, [f"{result['benchmark']} ({result['mode']})" for result in results])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.grid(False, axis="y")
        axes.set_xlabel("accuracy, %; bars of 95 % intervals")
        figure.legend(loc="outside upper left", ncols=2)
        return _png(figure)


def curve_png(curve: Curve) -> bytes:
    """One task's reward and its components by optimizer step."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE}):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        axes = figure.subplots()
        names = ["reward", *(f"component:{name}" for name in curve.components())]
        for place, name in enumerate(names):
            colour = COLOURS[place % len(COLOURS)]
            style = "-" if name == "reward" else (0, (4, 1.5))
            axes.plot(
                curve.steps, curve.series[name], color=colour, linestyle=style, label=name.partition(":")[2] or name
            )
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(1.02, axes.get_ylim()[1]))
        axes.set_xlabel(f"optimizer step, {curve.task}")
        figure.legend(loc="outside upper left", ncols=5)
        return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
