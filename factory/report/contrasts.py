"""The study's own comparisons as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from factory.analysis.cells import Mode
from factory.analysis.contrast_table import formula
from factory.analysis.contrasts import Contrast
from factory.analysis.overview import Overview


@dataclass(frozen=True, slots=True)
class ContrastView:
    """One contrast under one way of decoding; `found` is by measure and benchmark."""

    name: str
    formula: str
    mode: Mode
    measures: list[str]
    benchmarks: list[str]
    found: dict[tuple[str, str], Contrast]


def contrast_views(whole: Overview) -> list[ContrastView]:
    """One view for each contrast and way of decoding."""
    views = []
    for mode in whole.matrix.modes():
        every = whole.contrasts(mode)
        for name, weights in whole.wanted_contrasts.items():
            own = [one for one in every if one.name == name]
            measures, benchmarks = (dict.fromkeys(getattr(one, key) for one in own) for key in ("measure", "benchmark"))
            found = {(one.measure, one.benchmark): one for one in own}
            views.append(ContrastView(name, formula(weights), mode, list(measures), list(benchmarks), found))
    return views
