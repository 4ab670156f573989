"""What a variant scores, as records that stand on its card: its row of the matrix, beside the base's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from factory.analysis.cells import BASE, Cell, Matrix, Mode, load_cell, load_matrix
from factory.analysis.notes import notes
from factory.analysis.protocol import told
from factory.analysis.statistics import Estimate
from factory.analysis.table import percent, signed
from factory.analysis.transfer import Effect, changes, interference, retention
from factory.benchmarks._benchmark import load_benchmark
from factory.core.atomic import read_json
from factory.core.errors import BadInput
from factory.core.lora import FULL
from factory.store.ref import Ref, loading_of
from factory.store.store import Store


def evaluation_of(store: Store, ref: Ref, card: Mapping[str, Any]) -> dict[str, Any] | None:
    """A variant's results: every cell with interval, n and decoding, against the base where the base was scored alike.

    Args:
        card: the variant's; a pulled one brings results, which count where this store has no cells of its own.

    Returns:
        `results` (one for each benchmark and mode), `notes`, `interference` (sentences), `stale` (reasons); None if
        nothing was scored.

    Raises:
        CorruptFile, StoreError: a cell is damaged or missing.
    """
    matrix, outdated = _row(store, ref)
    brought = card.get("evaluation")
    if matrix is None:
        return dict(brought) if isinstance(brought, dict) else None
    name = BASE if ref.kind == "base" else f"{ref.kind}:{ref.name}"
    results = []
    for mode in matrix.modes():
        effects = {effect.benchmark: effect for effect in changes(matrix, mode) if effect.variant == name}
        for benchmark in matrix.benchmarks:
            result = _result(matrix, name, benchmark, mode, effects.get(benchmark))
            if result:
                results.append(result)
    if not results:
        return None
    modes = matrix.modes()
    return {
        "seed": matrix.seeds[0],
        "results": _with_more_items(results, (brought or {}).get("results") or []),
        "interference": [line for mode in modes for line in _interference(matrix, name, mode)],
        "notes": [line for line in notes(matrix, modes[0]) if "Not scored yet" not in line and "Holm" not in line],
        "stale": [*outdated, *_stale(matrix, name)],
    }


def _row(store: Store, ref: Ref) -> tuple[Matrix | None, list[str]]:
    """The matrix of the variant's seed: of the study that ran it last, with cells scored by hand beside."""
    name = BASE if ref.kind == "base" else f"{ref.kind}:{ref.name}"
    cells, others = _loose(store, ref, name)
    matrix = _of_study(store, ref)
    if matrix is None:
        if not any(variant == name for variant, _, _ in cells):
            return None, others
        found = Matrix("", (BASE, name) if name != BASE else (BASE,), (), (ref.seed,), cells)
    else:
        found = replace(matrix, cells={**cells, **matrix.cells})
    benchmarks = dict.fromkeys([*found.benchmarks, *(benchmark for _, benchmark, _ in found.cells)])
    return replace(found, benchmarks=tuple(benchmarks)), []


def _of_study(store: Store, ref: Ref) -> Matrix | None:
    cards = sorted(store.root.glob("studies/*/card.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in cards:
        for entry in read_json(path).get("variants", []):
            if entry.get("ref") == ref.to_json():
                matrix = load_matrix(store, path.parent)
                seed = entry["seed"]
                cells = {(v, b, ref.seed): cell for (v, b, s), cell in matrix.cells.items() if s == seed}
                if cells:
                    return replace(matrix, seeds=(ref.seed,), cells=cells)
    return None


def _loose(store: Store, ref: Ref, name: str) -> tuple[dict[tuple[str, str, int], Cell], list[str]]:
    """Cells of exactly this variant and the base's that were asked alike; and what is known of older builds of it."""
    trained_on = (store.card(ref).get("quantization") or {}).get("kind") or FULL
    mine: dict[str, tuple[Ref, Mapping[str, Any]]] = {}
    bases: list[tuple[Ref, Mapping[str, Any]]] = []
    older = 0
    for cell in store.refs("cell"):
        if cell.base != ref.base:
            continue
        card = store.card(cell)
        variant = loading_of(str(card.get("variant")))[0]
        if variant == name and card.get("parents") == [ref.key]:
            # Scored on its base loaded in several ways, what counts is the way it was trained.
            if card["benchmark"] not in mine or _loading(card) == trained_on:
                mine[card["benchmark"]] = (cell, card)
        elif variant == name:
            older += 1
        if variant == BASE:
            bases.append((cell, card))
    # Under the variant's seed: a cell scored by hand is of the seed that was said then.
    found = {(name, benchmark, ref.seed): load_cell(store, cell) for benchmark, (cell, _) in mine.items()}
    for cell, told_of_base in bases:
        benchmark = told_of_base["benchmark"]
        if name != BASE and benchmark in mine and _asked(told_of_base) == _asked(mine[benchmark][1]):
            found[BASE, benchmark, ref.seed] = load_cell(store, cell)
    return found, ["it was scored before it was built again, and not since"] if older and not mine else []


def _with_more_items(own: list[dict[str, Any]], brought: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Own results, and of a pulled variant those it brought that are of more items, or beside its base's alone."""
    found = {(result["benchmark"], result["mode"]): result for result in brought}
    for result in own:
        there = found.get((result["benchmark"], result["mode"]))
        known = (there["items"], there["base"] is not None) if there else (0, False)
        if (result["items"], result["base"] is not None) >= known:
            found[result["benchmark"], result["mode"]] = result
    return list(found.values())


def _asked(card: Mapping[str, Any]) -> tuple[Any, ...]:
    return card.get("decoding"), card.get("data"), card.get("split"), card["ref"]["seed"], _loading(card)


def _loading(card: Mapping[str, Any]) -> str:
    return str(card.get("quantization") or FULL)


def _result(matrix: Matrix, name: str, benchmark: str, mode: Mode, effect: Effect | None) -> dict[str, Any] | None:
    score = matrix.score(name, benchmark, mode)
    cells = matrix.at(name, benchmark)
    if score is None or not cells:
        return None
    cell, base = cells[0], matrix.score(BASE, benchmark, mode) if name != BASE else None
    change = effect.estimate if effect else None
    decoding = {key: value for key, value in cell.decoding.items() if value is not None}
    return {
        "benchmark": benchmark,
        "version": cell.version,
        "split": cell.split,
        "mode": mode,
        "asked": _asking(cell, mode),
        "decoding": decoding,
        "trained": cell.own,
        "chance": cell.chance,
        "items": score.items,
        **_ends(score),
        "base": _ends(base) if base else None,
        "change": {**_ends(change), "p_adjusted": _round(effect.p_adjusted), "sure": effect.is_sure}
        if change and effect
        else None,
        "unscorable": matrix.unscorable(name, benchmark, mode),
        **_measured(cell),
    }


def _asking(cell: Cell, mode: Mode) -> str:
    """How one of a cell's two figures was asked for."""
    own = {"samples": 0, "greedy": True} if mode == "greedy" else {"greedy": False}
    loaded = "" if cell.quantization == FULL else f", base in {cell.quantization}"
    return told({**cell.decoding, **own}, cell.method) + loaded


def _measured(cell: Cell) -> dict[str, Any]:
    """With what, and on which day."""
    card = read_json(cell.folder / "card.json")
    package = "lm_eval" if cell.method == "lm_eval" else "lora-factory"
    number = (card.get("versions") or {}).get(package) or "of unknown version"
    return {"harness": f"{package} {number}", "scored": str(card.get("created") or "")[:10] or None}


def _ends(estimate: Estimate) -> dict[str, Any]:
    return {name: round(getattr(estimate, name), 6) for name in ("value", "low", "high")}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _stale(matrix: Matrix, name: str) -> list[str]:
    """Benchmarks that have changed since they were scored."""
    found = []
    for benchmark in matrix.benchmarks:
        cells = matrix.at(name, benchmark)
        try:
            now = load_benchmark(benchmark).version
        except BadInput:  # a user's own, which is not beside this command
            continue
        if cells and cells[0].version not in (0, now):
            found.append(f"{benchmark} was scored at version {cells[0].version} and is at version {now} now")
    return found


def _interference(matrix: Matrix, name: str, mode: Mode) -> list[str]:
    """What combining costs a merge or a joint adapter, or what a specialist does to tasks it was not trained on."""
    lines = []
    kept = {(e.against, e.benchmark): e for e in retention(matrix, mode) if e.variant == name}
    for effect in interference(matrix, mode):
        if effect.variant == name and effect.estimate:
            share = kept.get((effect.against, effect.benchmark))
            keeps = f"; it keeps {percent(share.estimate.value)} % of the gain" if share and share.estimate else ""
            lines.append(
                f"{effect.benchmark} ({mode}): {_points(effect.estimate)} against {effect.against}, the specialist"
                f"{_sure(effect)}{keeps}"
            )
    if not lines and name != BASE:
        for effect in changes(matrix, mode):
            if effect.variant == name and not effect.own and effect.estimate:
                lines.append(
                    f"{effect.benchmark} ({mode}), which it was not trained on: {_points(effect.estimate)} against the "
                    f"base{_sure(effect)}"
                )
    return lines


def _points(estimate: Estimate) -> str:
    return f"{signed(estimate.value)} points, 95 % interval {signed(estimate.low)} to {signed(estimate.high)}"


def _sure(effect: Effect) -> str:
    return ", sure (Holm)" if effect.is_sure else ", not sure"
