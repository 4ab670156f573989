"""The same variant on its base loaded in two ways, as it is and quantized: what that costs, item by item."""

from __future__ import annotations

from factory.analysis.cells import Matrix, Mode
from factory.analysis.statistics import Estimate
from factory.core.lora import FULL
from factory.store.ref import loading_of


def loadings(matrix: Matrix, mode: Mode) -> list[tuple[str, str, str, Estimate]]:
    """(variant loaded otherwise, the same variant, benchmark, paired difference) of all that were scored both ways."""
    found = []
    for variant in matrix.variants:
        bare, loading = loading_of(variant)
        for benchmark in matrix.benchmarks if loading else ():
            estimate = matrix.change(bare, variant, benchmark, mode)
            if estimate is not None:
                found.append((variant, bare, benchmark, estimate))
    return found


def told(matrix: Matrix, mode: Mode) -> list[str]:
    """Sentences: how the base is loaded where that is not as its files are, and what the other way changes."""
    usual = sorted({cell.quantization for cell in matrix.cells.values() if loading_of(cell.variant)[1] is None})
    otherwise = any(loading_of(variant)[1] for variant in matrix.variants)
    lines = [f"The base is loaded in {', '.join(usual)}."] if otherwise or usual not in ([], [FULL]) else []
    if otherwise:
        lines.append("Where [brackets] say that it is loaded otherwise, changes are against the base loaded so too.")
    by_variant: dict[tuple[str, str], list[str]] = {}
    for variant, bare, benchmark, e in loadings(matrix, mode):
        number = f"{100 * e.value:+.1f} [{100 * e.low:+.1f}, {100 * e.high:+.1f}]".replace("-", "−")
        by_variant.setdefault((variant, bare), []).append(f"{benchmark} {number}")
    return lines + [
        f"{variant} − {bare}, paired on the same items: {', '.join(numbers)} points."
        for (variant, bare), numbers in by_variant.items()
    ]
