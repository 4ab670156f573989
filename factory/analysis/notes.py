"""What a reader of the matrix must be told, in plain sentences: where a column says nothing, what was left out."""

from __future__ import annotations

import statistics as plain

from factory.analysis import loading
from factory.analysis.cells import Matrix, Mode
from factory.analysis.statistics import detectable
from factory.analysis.transfer import changes

EDGE = 0.02


def notes(matrix: Matrix, mode: Mode) -> list[str]:
    """The sentences for one way of decoding, the most important first."""
    return [
        *_empty_columns(matrix, mode),
        *_sureness(matrix, mode),
        *loading.told(matrix, mode),
        *_contaminated(matrix),
        *_left_out(matrix, mode),
        *_seeds(matrix),
    ]


def is_about_nothing(matrix: Matrix, benchmark: str, mode: Mode) -> str | None:
    """Why a benchmark cannot tell the variants apart: all about zero, at chance or about perfect; else None."""
    found = [score for variant in matrix.variants if (score := matrix.score(variant, benchmark, mode))]
    if not found:
        return None
    chance = matrix.chance(benchmark)
    if all(score.value <= EDGE for score in found):
        return "every variant is about zero"
    if chance and all(score.low <= chance for score in found):
        return f"no variant can be told from chance ({100 * chance:.3g} %)"
    if all(score.value >= 1 - EDGE for score in found):
        return "every variant is about perfect"
    return None


def _empty_columns(matrix: Matrix, mode: Mode) -> list[str]:
    return [
        f"{benchmark}: {why}; this column says about nothing."
        for benchmark in matrix.benchmarks
        if (why := is_about_nothing(matrix, benchmark, mode))
    ]


def _sureness(matrix: Matrix, mode: Mode) -> list[str]:
    effects = [effect for effect in changes(matrix, mode) if effect.estimate]
    if not effects:
        return []
    least = plain.median(detectable(effect.estimate.se) for effect in effects if effect.estimate)
    size = f"a true change of {100 * least:.0f} points would be found four times in five"
    sure = sum(effect.is_sure for effect in effects)
    if not sure:
        return [f"No variant differs from the base for sure ({len(effects)} comparisons, Holm); {size}."]
    return [f"{sure} of {len(effects)} changes against the base are sure (Holm, 5 %); {size}."]


def _contaminated(matrix: Matrix) -> list[str]:
    told = (found.sentence(benchmark) for benchmark, found in matrix.contaminated.items())
    return [sentence for sentence in told if sentence]


def _left_out(matrix: Matrix, mode: Mode) -> list[str]:
    lines = []
    for benchmark in matrix.benchmarks:
        counts = {variant: matrix.unscorable(variant, benchmark, mode) for variant in matrix.variants}
        told = ", ".join(f"{variant} {count}" for variant, count in counts.items() if count)
        if told:
            same = len(set(counts.values())) == 1 and len(counts) > 1
            told = f"{next(iter(counts.values()))} of each variant" if same else told
            lines.append(f"{benchmark}: completions that could not be scored, left out and not counted wrong: {told}.")
    missing = [
        f"{variant} on {benchmark}"
        for variant in matrix.variants
        for benchmark in matrix.benchmarks
        if len(matrix.at(variant, benchmark)) < len(matrix.seeds)
    ]
    if missing:
        rest = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        lines.append(f"Not scored yet at every seed: {', '.join(missing[:4])}{rest}.")
    return lines


def _seeds(matrix: Matrix) -> list[str]:
    if len(matrix.seeds) == 2:
        return ["Means of two seeds; two say little of the luck of training, so an interval can be very wide."]
    if len(matrix.seeds) > 2:
        return [f"Means of {len(matrix.seeds)} seeds; intervals cover items, samples and retraining."]
    return ["One seed: intervals cover the choice of items and samples, not the luck of training."]
