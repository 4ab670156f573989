"""What the page shows, gathered from the store as plain records; the template only lays it out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory.analysis.cells import BASE, Matrix, Mode
from factory.analysis.costs import Cost
from factory.analysis.curves import Curve, load_curves
from factory.analysis.notes import is_about_nothing, notes
from factory.analysis.shares import declared, shares, told
from factory.analysis.statistics import Estimate
from factory.analysis.table import decoding_line
from factory.analysis.transfer import Effect, changes, interference, retention, transfer
from factory.core.cost_words import in_words
from factory.report import figures
from factory.report.examples import Example, examples
from factory.store.ref import Ref
from factory.store.store import Store


@dataclass(frozen=True, slots=True)
class ShareView:
    """A share that benchmarks declare: what it is a mean of, and its estimates by variant and benchmark."""

    told: str
    benchmarks: list[str]
    estimates: dict[tuple[str, str], Estimate | None]


@dataclass(frozen=True, slots=True)
class MatrixView:
    """The matrix under one way of decoding, and what follows from it."""

    mode: Mode
    decoding: str
    heat: str
    notes: list[str]
    changes: dict[tuple[str, str], Effect]
    transfer: dict[tuple[str, str], Effect]
    combined: list[tuple[Effect, Effect]]
    nothing: dict[str, str | None]
    shares: list[ShareView]


@dataclass(frozen=True, slots=True)
class CurveView:
    """One adapter on one task over all seeds: the figure, and first against last tenth for each series."""

    variant: str
    task: str
    svg: str
    ends: list[tuple[str, float, float]]


@dataclass(frozen=True, slots=True)
class CardView:
    """One variant's card: what a reader looks for first, then all of it. `facts` is empty if it left the store."""

    title: str
    variant: str
    facts: list[tuple[str, str]]
    whole: str


def matrix_views(matrix: Matrix) -> list[MatrixView]:
    """One view for each way of decoding that was used."""
    return [
        MatrixView(
            mode=mode,
            decoding=decoding_line(matrix, mode),
            heat=figures.heat_map(matrix, mode),
            notes=notes(matrix, mode),
            changes={(effect.variant, effect.benchmark): effect for effect in changes(matrix, mode)},
            transfer={(effect.variant, effect.benchmark): effect for effect in transfer(matrix, mode)},
            combined=list(zip(interference(matrix, mode), retention(matrix, mode), strict=True)),
            nothing={benchmark: is_about_nothing(matrix, benchmark, mode) for benchmark in matrix.benchmarks},
            shares=share_views(matrix, mode),
        )
        for mode in matrix.modes()
    ]


def share_views(matrix: Matrix, mode: Mode) -> list[ShareView]:
    """One view for each share that is declared."""
    found, views = shares(matrix, mode), []
    for name, share in declared(matrix).items():
        own = {(one.variant, one.benchmark): one.estimate for one in found if one.name == name}
        views.append(ShareView(told(name, share), list(dict.fromkeys(benchmark for _, benchmark in own)), own))
    return views


def curve_views(store: Store, variants: Sequence[Mapping[str, Any]]) -> list[CurveView]:
    """One view for each adapter and task, all seeds together."""
    grouped: dict[tuple[str, str], list[Curve]] = {}
    for entry in _stored(variants):
        folder = store.path(Ref(**entry["ref"]))
        for curve in load_curves(folder, entry["name"], entry["seed"]):
            grouped.setdefault((curve.variant, curve.task), []).append(curve)
    views = []
    for place, ((variant, task), curves) in enumerate(grouped.items()):
        names = dict.fromkeys(name for curve in curves for name in curve.series)
        ends = [(_readable(name), *pair) for name in names if (pair := _mean_ends(curves, name))]
        views.append(CurveView(variant, task, figures.curve_panel(curves, f"curve{place}"), ends))
    return views


def part_seconds(costs: Sequence[Cost]) -> dict[str, dict[str, float]]:
    """Seconds by part of training for each adapter that tells them, mean over seeds."""
    told = {cost.variant: {part: each for part, each in cost.seconds.items() if each is not None} for cost in costs}
    return {variant: parts for variant, parts in told.items() if parts}


def card_views(store: Store, variants: Sequence[Mapping[str, Any]]) -> list[CardView]:
    """The cards of all variants, seed by seed, in the study's order."""
    views = []
    for entry in _stored(variants):
        ref = Ref(**entry["ref"])
        if not store.has(ref):
            views.append(CardView(ref.title, entry["name"], [], ""))
            continue
        card = store.card(ref)
        views.append(CardView(ref.title, entry["name"], _facts(ref, card), _json(card)))
    return views


def _stored(variants: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that were made here: a base by folder or hub id is not in the store."""
    return [entry for entry in variants if entry["ref"] is not None]


def example_views(matrix: Matrix) -> dict[str, list[Example]]:
    """Examples of every variant but the base."""
    return {variant: examples(matrix, variant) for variant in matrix.variants if variant != BASE}


def is_embedded(base: str) -> bool:
    """Whether a study's base is the one made here."""
    return base == "embedded" or base.startswith("embedded@")


def _mean_ends(curves: Sequence[Curve], name: str) -> tuple[float, float] | None:
    pairs = [pair for curve in curves if name in curve.series and (pair := curve.ends(name))]
    if not pairs:
        return None
    return sum(first for first, _ in pairs) / len(pairs), sum(last for _, last in pairs) / len(pairs)


def _readable(name: str) -> str:
    told = {
        "zero_variance": "share of groups with equal rewards",
        "length": "length, tokens",
        "unscorable": "unscorable completions a step",
    }
    return told.get(name, name.replace("component:", "component "))


def _facts(ref: Ref, card: Mapping[str, Any]) -> list[tuple[str, str]]:
    cost = card.get("cost") or {}
    told = [
        ("base", ref.base),
        ("seed", str(ref.seed)),
        ("content key", ref.key),
        ("base loaded in", _short((card.get("quantization") or {}).get("kind"))),
        ("parents", _short(card.get("parents"))),
        ("method", _short(card.get("method"))),
        ("weights", _short(card.get("weights"))),
        ("rank", _short(card.get("rank"))),
        ("energy kept", _short(card.get("energy_kept"))),
        ("cost", ", ".join(f"{name} {value}" for name, value in in_words(cost).items() if _is_plain(value))),
        ("made", _short(card.get("created"))),
        ("code", _short(card.get("code"))),
        ("packages", ", ".join(f"{name} {number}" for name, number in (card.get("versions") or {}).items() if number)),
    ]
    return [(name, text) for name, text in told if text]


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | str)


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(_is_plain(item) for item in value):
        return ", ".join(str(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
