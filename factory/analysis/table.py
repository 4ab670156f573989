"""The matrix as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from factory.analysis.cells import BASE, Matrix, Mode
from factory.analysis.notes import notes
from factory.analysis.protocol import protocols
from factory.analysis.shares import declared, shares, told
from factory.analysis.statistics import Estimate
from factory.analysis.transfer import changes

WIDTH = 100
NONE = "–"


def print_matrix(matrix: Matrix, width: int = WIDTH) -> str:
    """The whole matrix, sampled and greedy, with its notes; no line is longer than `width` but for very long names."""
    if not matrix.cells:
        return f"study {matrix.study}: nothing scored yet"
    lines = [
        f"study {matrix.study}: accuracy in %, ± half of the 95 % interval, change against {BASE} (* = sure, Holm)"
    ]
    for mode in matrix.modes():
        lines += ["", decoding_line(matrix, mode)]
        for block in _blocks(matrix, width):
            lines += [*_table(matrix, mode, block), ""]
        lines += _wrapped(notes(matrix, mode), width)
    lines += [*_share_tables(matrix, width), "", *_wrapped(protocols(matrix), width)]
    return "\n".join(lines)


def decoding_line(matrix: Matrix, mode: Mode) -> str:
    """How the completions were drawn, from the cells: `sampled, 4 an item, temperature 1`."""
    if mode == "greedy":
        return "greedy, one an item"
    drawn = {
        (cell.decoding.get("samples"), cell.decoding.get("temperature"), cell.decoding.get("top_p"))
        for cell in matrix.cells.values()
        if cell.scores.size
    }
    if len(drawn) != 1:
        return "sampled, each benchmark with its own settings"
    samples, temperature, top_p = drawn.pop()
    nucleus = "" if top_p in (None, 1, 1.0) else f", top-p {top_p:g}"
    return f"sampled, {samples} an item, temperature {temperature:g}{nucleus}"


def percent(share: float) -> str:
    """`.4238` as `42.4`, with a real minus sign below 0."""
    text = f"{100 * share:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def signed(share: float) -> str:
    """`.061` as `+6.1`, with a real minus sign below 0, and no sign at 0."""
    text = f"{100 * share:+.1f}"
    return text[1:] if text in ("+0.0", "-0.0") else text.replace("-", "−")


def cell_text(score: Estimate | None, change: Estimate | None, sure: bool) -> str:
    """`84.2 ±4.7  +6.1*`; a dash where there is no score."""
    if score is None:
        return NONE
    text = f"{percent(score.value):>5} ±{percent(score.half_width):<4}"
    return text if change is None else f"{text} {signed(change.value):>5}{'*' if sure else ' '}"


def _blocks(matrix: Matrix, width: int) -> list[tuple[str, ...]]:
    """Benchmarks side by side, as many as fit."""
    blocks: list[list[str]] = [[]]
    room = width - _name_width(matrix)
    used = 0
    for benchmark in matrix.benchmarks:
        need = _column_width(benchmark) + 2
        if blocks[-1] and used + need > room:
            blocks.append([])
            used = 0
        blocks[-1].append(benchmark)
        used += need
    return [tuple(block) for block in blocks]


def _name_width(matrix: Matrix) -> int:
    return max(map(len, [*matrix.variants, "variant"]))


def _column_width(benchmark: str) -> int:
    return max(len(benchmark), 18)


def _table(matrix: Matrix, mode: Mode, benchmarks: tuple[str, ...]) -> list[str]:
    found = {(effect.variant, effect.benchmark): effect for effect in changes(matrix, mode)}
    rows = [["variant", *benchmarks]]
    for variant in matrix.variants:
        row = [variant]
        for benchmark in benchmarks:
            effect = found.get((variant, benchmark))
            score = matrix.score(variant, benchmark, mode)
            row.append(cell_text(score, effect.estimate if effect else None, bool(effect and effect.is_sure)))
        rows.append(row)
    chances = [matrix.chance(benchmark) for benchmark in benchmarks]
    if any(chance is not None for chance in chances):
        rows.append(["chance", *(NONE if chance is None else f"{percent(chance):>5}" for chance in chances)])
    scores = [[matrix.score(variant, benchmark, mode) for variant in matrix.variants] for benchmark in benchmarks]
    items = [max((score.items for score in column if score), default=0) for column in scores]
    rows.append(["items", *(f"{count:>3}" for count in items)])
    widths = [_name_width(matrix), *(_column_width(benchmark) for benchmark in benchmarks)]
    return aligned(rows, widths)


def _share_tables(matrix: Matrix, width: int) -> list[str]:
    """A table for each share that is declared, of the first way of decoding; the report has all."""
    lines: list[str] = []
    if not (known := declared(matrix)):
        return lines
    mode = matrix.modes()[0]
    found = {(one.name, one.variant, one.benchmark): one.estimate for one in shares(matrix, mode)}
    for name, share in known.items():
        lines += ["", f"{told(name, share)}, {mode}"]
        for block in _blocks(matrix, width):
            columns = tuple(one for one in block if any((name, variant, one) in found for variant in matrix.variants))
            if not columns:
                continue
            rows = [
                ("variant", *columns),
                *(
                    (variant, *(cell_text(found.get((name, variant, one)), None, False) for one in columns))
                    for variant in matrix.variants
                ),
            ]
            widths = [_name_width(matrix), *map(_column_width, columns)]
            lines += aligned(rows, widths)
    return lines


def aligned(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Lines with columns of these widths."""
    return ["  ".join(text.ljust(size) for text, size in zip(row, widths, strict=True)).rstrip() for row in rows]


def _wrapped(sentences: list[str], width: int) -> list[str]:
    import textwrap

    return [
        line for text in sentences for line in textwrap.wrap(text, width, initial_indent="- ", subsequent_indent="  ")
    ]
