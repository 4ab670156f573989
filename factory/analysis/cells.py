"""Cells as arrays, and the matrix they make: variants x benchmarks x seeds, every item kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from factory.analysis import statistics
from factory.analysis.contaminated import Contaminated, read_contaminated
from factory.analysis.statistics import Array, Estimate
from factory.core.atomic import read_json, read_jsonl
from factory.core.errors import BadInput, CorruptFile
from factory.core.records import Outcome, Share
from factory.store.ref import Ref
from factory.store.store import Store

Mode = Literal["sampled", "greedy"]
MODES: tuple[Mode, ...] = ("sampled", "greedy")
BASE = "base"
ITEMS = "items.jsonl"
PROMPTS = "prompts.json"


@dataclass(frozen=True)
class Cell:
    """One variant on one benchmark at one seed.

    Attributes:
        variant: `base`, `adapter:math`, `merge:linear`; a checkpoint is `adapter:math@30`.
        chance: accuracy of a guesser who knows the format, None where guessing is hopeless.
        trained_tasks: tasks the variant was trained on, a merge's are all its parents'.
        own: whether the benchmark is of one of them.
        version, method: of the benchmark.
        quantization: how the base was loaded.
        scores: of the samples, (items, samples), NaN where unscorable.
        greedy: of the greedy completion, (items,), NaN where unscorable; empty if it was not asked for.
        shares: means of verdict components that the benchmark reports beside its score, by name.
    """

    variant: str
    benchmark: str
    seed: int
    split: str
    decoding: Mapping[str, Any]
    chance: float | None
    trained_tasks: tuple[str, ...]
    own: bool
    version: int
    method: str
    metrics: Mapping[str, Any]
    items: tuple[str, ...]
    scores: Array
    greedy: Array
    quantization: str = "full"
    shares: Mapping[str, Share] = field(default_factory=dict)
    folder: Path = field(default=Path(), compare=False)

    def item_means(self, mode: Mode) -> Mapping[str, float]:
        """Each item's mean score over its scorable samples; items without any are left out."""
        return self._means[mode]

    @cached_property
    def _means(self) -> dict[Mode, dict[str, float]]:
        return {"sampled": _means(self.items, self.scores), "greedy": _means(self.items, self.greedy[:, None])}

    def unscorable(self, mode: Mode) -> int:
        """How many completions could not be scored."""
        return int(np.isnan(self.greedy if mode == "greedy" else self.scores).sum())

    def outcomes(self) -> list[Outcome]:
        """The items with their completions, read from the store."""
        kept = set(self.items)
        return [outcome for outcome in read_outcomes(self.folder) if outcome.item in kept]

    def prompts(self) -> dict[str, str]:
        """Each item's prompt, for people to read; {} where the cell does not keep them (`prompts.json`)."""
        path = self.folder / PROMPTS
        return dict(read_json(path)) if path.is_file() else {}


@dataclass(frozen=True)
class Matrix:
    """All cells of a study.

    Attributes:
        variants, benchmarks: in the study's order; checkpoints (`adapter:math@30`) are not among the variants.
        seeds: of the study.
        cells: by (variant, benchmark, seed); one that was not scored is not there.
        contaminated: by benchmark, what of it stands in the training rows; items left out for it are in no cell.
    """

    study: str
    variants: tuple[str, ...]
    benchmarks: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: Mapping[tuple[str, str, int], Cell]
    contaminated: Mapping[str, Contaminated] = field(default_factory=dict)

    def at(self, variant: str, benchmark: str) -> list[Cell]:
        """The cells of a variant on a benchmark, one for each seed that was scored."""
        keys = ((variant, benchmark, seed) for seed in self.seeds)
        return [self.cells[key] for key in keys if key in self.cells]

    def table(self, variants: tuple[str, ...], benchmark: str, mode: Mode) -> list[Array]:
        """Item means of several variants on the same rows and columns, each an array (items, seeds), NaN for none."""
        found = {
            (variant, seed): self.cells[variant, benchmark, seed].item_means(mode)
            for variant in variants
            for seed in self.seeds
            if (variant, benchmark, seed) in self.cells
        }
        # Items keep the order in which they were first met, so that no result depends on hashing.
        items = list(dict.fromkeys(item for means in found.values() for item in means))
        rows = {item: row for row, item in enumerate(items)}
        tables = []
        for variant in variants:
            table = np.full((len(items), len(self.seeds)), np.nan)
            for column, seed in enumerate(self.seeds):
                for item, value in found.get((variant, seed), {}).items():
                    table[rows[item], column] = value
            tables.append(table)
        return tables

    def score(self, variant: str, benchmark: str, mode: Mode) -> Estimate | None:
        """Mean accuracy; None if there is no such cell or nothing in it is scorable."""
        return statistics.mean(self.table((variant,), benchmark, mode)[0])

    def change(self, before: str, after: str, benchmark: str, mode: Mode) -> Estimate | None:
        """Paired difference after - before on the items both have; None if there are none."""
        first, second = self.table((before, after), benchmark, mode)
        return statistics.difference(first, second)

    def unscorable(self, variant: str, benchmark: str, mode: Mode) -> int:
        """Completions that could not be scored, over all seeds."""
        return sum(cell.unscorable(mode) for cell in self.at(variant, benchmark))

    def chance(self, benchmark: str) -> float | None:
        """The benchmark's chance level, None where guessing is hopeless."""
        return next((cell.chance for cell in self.cells.values() if cell.benchmark == benchmark), None)

    def trained_tasks(self, variant: str) -> tuple[str, ...]:
        """Tasks the variant was trained on; () for the base."""
        return next((cell.trained_tasks for cell in self.cells.values() if cell.variant == variant), ())

    def trained(self, variant: str, benchmark: str) -> bool:
        """Whether the variant was trained on the benchmark's task."""
        return any(cell.own for cell in self.at(variant, benchmark))

    def modes(self) -> tuple[Mode, ...]:
        """The ways of decoding that at least one cell has."""
        cells = self.cells.values()
        has = {"sampled": any(cell.scores.size for cell in cells), "greedy": any(cell.greedy.size for cell in cells)}
        return tuple(mode for mode in MODES if has[mode])


def _means(items: tuple[str, ...], table: Array) -> dict[str, float]:
    """Row means over what is not NaN; `table` is (items, samples), or empty."""
    if not table.size:
        return {}
    counts, sums = (~np.isnan(table)).sum(axis=1), np.nansum(table, axis=1)
    return {item: float(total / n) for item, total, n in zip(items, sums, counts, strict=True) if n}


def load_matrix(store: Store, study_folder: Path) -> Matrix:
    """Read the matrix of a study that has run, or has partly run.

    Raises:
        BadInput: the folder has no study card.
        CorruptFile: the card or a cell is damaged.
        StoreError: a cell that the card names is not in the store.
    """
    card = read_study_card(study_folder)
    try:
        names = [variant["name"] for variant in card["variants"]]
        refs = [Ref(**ref) for ref in card["cells"]]
        study, seeds = card["study"], tuple(card["seeds"])
    except (KeyError, TypeError) as error:
        raise CorruptFile(f"{study_folder / 'card.json'}: not a study's card ({error}); run the study again") from error
    contaminated = read_contaminated(store, card.get("gate"))
    left_out = {name: set(one.ids) for name, one in contaminated.items() if one.excluded}
    cells = [_without(cell, left_out.get(cell.benchmark, set())) for cell in (load_cell(store, ref) for ref in refs)]
    variants = dict.fromkeys([*names, *(cell.variant for cell in cells)])
    benchmarks = dict.fromkeys([*study.get("benchmarks", {}), *(cell.benchmark for cell in cells)])
    return Matrix(
        study=study["study"],
        variants=tuple(name for name in variants if "@" not in name),
        benchmarks=tuple(benchmarks),
        seeds=seeds,
        cells={(cell.variant, cell.benchmark, cell.seed): cell for cell in cells},
        contaminated=contaminated,
    )


def _without(cell: Cell, items: set[str]) -> Cell:
    """The cell less some items."""
    kept = [row for row, item in enumerate(cell.items) if item not in items]
    if len(kept) == len(cell.items):
        return cell
    names = tuple(cell.items[row] for row in kept)
    greedy = cell.greedy[kept] if cell.greedy.size else cell.greedy
    return replace(cell, items=names, scores=cell.scores[kept], greedy=greedy)


def read_study_card(study_folder: Path) -> dict[str, Any]:
    """Read a study's `card.json`.

    Raises:
        BadInput: there is none.
        CorruptFile: it is not JSON, or not an object.
    """
    path = study_folder / "card.json"
    if not path.is_file():
        raise BadInput(f"{path}: no such file; 'factory run {study_folder.name}' makes it")
    card = read_json(path)
    if not isinstance(card, dict):
        raise CorruptFile(f"{path}: expected an object, got a {type(card).__name__}; run the study again")
    return card


def load_cell(store: Store, ref: Ref) -> Cell:
    """Read one cell.

    Raises:
        StoreError: it is not in the store.
        CorruptFile: its files are not what its card says, or not a cell.
    """
    card, folder = store.card(ref), store.path(ref)
    outcomes = read_outcomes(folder)
    width = max((len(outcome.scores) for outcome in outcomes), default=0)
    scores = np.full((len(outcomes), width), np.nan)
    for row, outcome in enumerate(outcomes):
        for column, score in enumerate(outcome.scores):
            scores[row, column] = np.nan if score is None else score
    try:
        has_greedy = bool(card["decoding"]["greedy"])
        greedy = [np.nan if outcome.greedy is None else outcome.greedy for outcome in outcomes] if has_greedy else []
        return Cell(
            variant=card["variant"],
            benchmark=card["benchmark"],
            seed=ref.seed,
            split=card["split"],
            decoding=card["decoding"],
            chance=card["chance"],
            trained_tasks=tuple(card["trained_tasks"]),
            own=card.get("own", card["benchmark"] in card["trained_tasks"]),
            version=(card.get("data") or {}).get("version", 0),
            method=card.get("method", "generate"),
            quantization=card.get("quantization", "full"),
            metrics=card["metrics"],
            items=tuple(outcome.item for outcome in outcomes),
            scores=scores,
            greedy=np.array(greedy, dtype=np.float64),
            shares={name: Share(**share) for name, share in card.get("shares", {}).items()},
            folder=folder,
        )
    except (KeyError, TypeError) as error:
        raise CorruptFile(f"{folder / 'card.json'}: not a cell's card ({error}); remove it and run again") from error


def read_outcomes(folder: Path) -> list[Outcome]:
    """Read a cell's items.

    Raises:
        CorruptFile: a line is not an outcome, or an item is there twice.
    """
    path = folder / ITEMS
    if not path.is_file():
        raise CorruptFile(f"{path}: is missing; remove the cell's folder and run again")
    outcomes = []
    for number, line in enumerate(read_jsonl(path), 1):
        try:
            outcomes.append(Outcome.from_json(line))
        except TypeError as error:
            raise CorruptFile(f"{path}, line {number}: not an outcome ({error})") from error
    if len({outcome.item for outcome in outcomes}) < len(outcomes):
        raise CorruptFile(f"{path}: an item is there twice; remove the cell's folder and run again")
    return outcomes
