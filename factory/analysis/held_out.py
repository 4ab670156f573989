"""Learning curves on held-out items: cells of an adapter as it was during training, between the base and the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from factory.analysis.cells import BASE, Cell, Matrix, Mode, load_cell
from factory.analysis.statistics import Array
from factory.store.ref import Ref
from factory.store.store import Store

Points = Mapping[tuple[str, str, int], Mapping[int, Cell]]
"""Cells by adapter, benchmark and seed, then by step."""


@dataclass(frozen=True)
class HeldOut:
    """One adapter on one benchmark at one seed.

    Attributes:
        steps: optimizer steps, from 0, the base, to the recipe's last, the finished adapter, (points,).
        accuracy: on the same items at every point, (points,).
        items: how many.
    """

    variant: str
    benchmark: str
    seed: int
    steps: Array
    accuracy: Array
    items: int

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, accuracies to six decimals."""
        return {
            "variant": self.variant,
            "benchmark": self.benchmark,
            "seed": self.seed,
            "items": self.items,
            "steps": [int(step) for step in self.steps],
            "accuracy": [round(float(value), 6) for value in self.accuracy],
        }


def load_points(store: Store, card: Mapping[str, Any]) -> Points:
    """The cells between, as a study's card names them.

    Raises:
        CorruptFile: a cell is damaged.
        StoreError: a cell that the card names is not in the store.
    """
    found: dict[tuple[str, str, int], dict[int, Cell]] = {}
    for ref in card.get("points") or []:
        cell = load_cell(store, Ref(**ref))
        variant, _, step = cell.variant.rpartition("@")
        found.setdefault((variant, cell.benchmark, cell.seed), {})[int(step)] = cell
    return found


def held_out(matrix: Matrix, points: Points, mode: Mode, who: tuple[str, str, int], last: int) -> HeldOut:
    """The curve of an adapter; of the base and the end alone where there are no points between.

    Args:
        who: adapter, benchmark and seed.
        last: the recipe's last step.
    """
    variant, benchmark, seed = who
    base, end = matrix.cells.get((BASE, benchmark, seed)), matrix.cells.get((variant, benchmark, seed))
    cells = {**({0: base} if base else {}), **points.get(who, {}), **({last: end} if end else {})}
    shared = set.intersection(*(items_of(cell, mode) for cell in cells.values())) if cells else set()
    values = {step: value for step in sorted(cells) if (value := mean_of(cells[step], mode, shared)) is not None}
    steps, accuracy = np.array(list(values), dtype=np.float64), np.array(list(values.values()), dtype=np.float64)
    return HeldOut(variant, benchmark, seed, steps, accuracy, len(shared))


def curves(store: Store, card: Mapping[str, Any], matrix: Matrix, points: Points) -> list[HeldOut]:
    """The curve of every adapter and benchmark that has points between, in the study's order."""
    modes = matrix.modes()
    refs = {(entry["name"], entry["seed"]): Ref(**entry["ref"]) for entry in card["variants"] if entry["ref"]}
    found = []
    for variant in matrix.variants:
        for benchmark in matrix.benchmarks:
            for seed in matrix.seeds:
                who, ref = (variant, benchmark, seed), refs.get((variant, seed))
                if who in points and ref is not None and store.has(ref) and modes:
                    last = int(store.card(ref)["recipe"]["max_steps"])
                    found.append(held_out(matrix, points, modes[0], who, last))
    return found


def items_of(cell: Cell, mode: Mode) -> set[str]:
    """The items that were answered in this way."""
    return set(cell.items) if (cell.scores.size if mode == "sampled" else cell.greedy.size) else set()


def mean_of(cell: Cell, mode: Mode, only: set[str] | None = None) -> float | None:
    """Mean over the items' means; None if nothing is scorable."""
    values = [value for item, value in cell.item_means(mode).items() if only is None or item in only]
    return float(np.mean(values)) if values else None
