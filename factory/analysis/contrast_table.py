"""Contrasts as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from factory.analysis.cells import Matrix
from factory.analysis.contrasts import Contrast, contrasts
from factory.analysis.table import NONE, aligned, percent, signed


def print_contrasts(matrix: Matrix, asked: Mapping[str, Mapping[str, float]]) -> str:
    """A table for each contrast, of the first way of decoding; the report has all. "" where none was asked for."""
    modes = matrix.modes()
    if not asked or not modes:
        return ""
    lines = [f"contrasts, {modes[0]}: points, ± half of the 95 % interval, paired (* = sure among all, Holm)"]
    found = contrasts(matrix, asked, modes[0])
    for name, weights in asked.items():
        own = [one for one in found if one.name == name]
        heads = list(dict.fromkeys(one.benchmark for one in own))
        rows = [["", *heads]]
        rows += [
            [measure, *(_text(one) for one in own if one.measure == measure)]
            for measure in dict.fromkeys(one.measure for one in own)
        ]
        lines += ["", f"{name}: {formula(weights)}", *aligned(rows, _widths(rows))]
    return "\n".join(lines)


def formula(weights: Mapping[str, float]) -> str:
    """`0.5 adapter:high - 0.5 adapter:low`."""
    text = " ".join(f"{'-' if weight < 0 else '+'} {abs(weight):g} {name}" for name, weight in weights.items())
    return text.removeprefix("+ ")


def _text(one: Contrast) -> str:
    if one.estimate is None:
        return NONE
    return f"{signed(one.estimate.value):>5} ±{percent(one.estimate.half_width)}{'*' if one.is_sure else ''}"


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
