"""What the completions are like beside being right: means of verdict components, as the benchmarks declare them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from factory.analysis import statistics
from factory.analysis.cells import Matrix, Mode
from factory.analysis.statistics import Array, Estimate
from factory.core.records import Outcome, Share

CORRECT = "correct"
Parts = Mapping[str, tuple[float, float]]
"""By item: mean over its samples of the component where it counts (0 elsewhere), and the share where it counts."""


@dataclass(frozen=True, slots=True)
class Found:
    """One share of one variant on one benchmark; `estimate` is None where no completion counts."""

    variant: str
    benchmark: str
    mode: Mode
    name: str
    estimate: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        estimate = self.estimate.to_json() if self.estimate else None
        return {
            "share": self.name, "variant": self.variant, "benchmark": self.benchmark, "mode": self.mode,
            "estimate": estimate,
        }  # fmt: skip


def shares(matrix: Matrix, mode: Mode) -> list[Found]:
    """All shares that the matrix's benchmarks declare, in the order of benchmarks, variants and declarations."""
    found = []
    for benchmark in matrix.benchmarks:
        for variant in matrix.variants:
            cells = [(cell, cell.outcomes()) for cell in matrix.at(variant, benchmark) if cell.shares]
            for name in dict.fromkeys(name for cell, _ in cells for name in cell.shares):
                parts = [item_parts(said, cell.shares[name], mode) for cell, said in cells if name in cell.shares]
                found.append(Found(variant, benchmark, mode, name, statistics.share(*_table(parts)[1:])))
    return found


def share_table(matrix: Matrix, variant: str, benchmark: str, name: str, mode: Mode) -> dict[tuple[str, int], float]:
    """For each item and seed a value; their means over the items are the seeds' shares."""
    cells = [cell for cell in matrix.at(variant, benchmark) if name in cell.shares]
    parts = [item_parts(cell.outcomes(), cell.shares[name], mode) for cell in cells]
    items, part, whole = _table(parts)
    table = statistics.linearised(part, whole)
    return {
        (item, cell.seed): float(value)
        for item, row in zip(items, table, strict=True)
        for cell, value in zip(cells, row, strict=True)
        if not np.isnan(value)
    }


def declared(matrix: Matrix) -> dict[str, Share]:
    """The shares that any of the matrix's cells declares, by name."""
    return {name: share for cell in matrix.cells.values() for name, share in cell.shares.items()}


def told(name: str, share: Share) -> str:
    """`step_accuracy: mean of steps over completions that have has_steps`."""
    of = "solve their item" if share.given == CORRECT else f"have {share.given}"
    return f"{name}: mean of {share.component} over {f'completions that {of}' if share.given else 'all completions'}"


def item_parts(outcomes: Sequence[Outcome], share: Share, mode: Mode) -> Parts:
    """Each item's two means over its scorable completions; items without any are left out."""
    parts = {}
    for outcome in outcomes:
        values = list(_values(outcome, share, mode))
        if values:
            parts[outcome.item] = (
                sum(value for value, counts in values if counts) / len(values),
                sum(counts for _, counts in values) / len(values),
            )
    return parts


def _values(outcome: Outcome, share: Share, mode: Mode) -> Iterator[tuple[float, bool]]:
    """The component of each scorable completion, and whether it counts."""
    sampled = len(outcome.scores)
    if mode == "sampled":
        judged = list(zip(outcome.scores, outcome.components, strict=False))
    else:
        judged = [(outcome.greedy, components) for components in outcome.components[sampled:]]
    for score, components in judged:
        if score is None:
            continue
        given = score == 1 if share.given == CORRECT else not share.given or components.get(share.given, 0.0) > 0
        yield components.get(share.component, 0.0), bool(given)


def _table(seeds: Sequence[Parts]) -> tuple[list[str], Array, Array]:
    """Items, and their two means, each (items, seeds); NaN where a seed does not have the item."""
    items = list(dict.fromkeys(item for parts in seeds for item in parts))
    nothing = (np.nan, np.nan)
    table: Array = np.array([[parts.get(item, nothing) for parts in seeds] for item in items], dtype=np.float64)
    table = table.reshape(len(items), len(seeds), 2)
    return items, table[..., 0], table[..., 1]
