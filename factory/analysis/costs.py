"""What each variant cost to make, so that variants can be compared at matched cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from factory.analysis.table import NONE, aligned
from factory.core.cost_words import COUNTS, CPU, PARTS
from factory.store.ref import Ref
from factory.store.store import Store

MADE = ("adapter", "merge")


@dataclass(frozen=True, slots=True)
class Cost:
    """One variant's cost, mean over its seeds; None where its cards do not tell.

    Attributes:
        completions, tokens: sampled in training.
        trained_tokens: of completions, that a gradient was taken of.
        verified: completions judged in training.
        seconds: of training, wall time by part.
        cpu_seconds: of the job that made it.
        cpu_seconds_in_all: those and what was spent on all that it is made of (a merge's adapters, a student's
            teachers, the search for weights), the base apart; what the store no longer has is not in it.
    """

    variant: str
    seeds: int
    completions: float | None
    tokens: float | None
    trained_tokens: float | None
    verified: float | None
    seconds: dict[str, float | None]
    cpu_seconds: float | None
    cpu_seconds_in_all: float | None

    def to_json(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def costs(store: Store, variants: Sequence[Mapping[str, Any]]) -> list[Cost]:
    """The cost of every adapter and merge of a study that is still in the store, in the study's order.

    Args:
        variants: of the study's card.
    """
    known = {ref.key: ref for kind in (*MADE, "search") for ref in store.refs(kind)}
    refs: dict[str, dict[str, None]] = {}
    for entry in variants:
        ref = entry["ref"] and Ref(**entry["ref"])
        if ref and ref.kind in MADE and ref.key in known:
            refs.setdefault(entry["name"], {})[ref.key] = None

    @cache
    def card(key: str) -> Mapping[str, Any]:
        return store.card(known[key])

    def made_of(key: str) -> set[str]:
        return {key}.union(*(made_of(other) for other in _parents(card(key)) if other in known))

    return [_cost(name, [card(key) for key in keys], [list(map(card, made_of(key))) for key in keys])
            for name, keys in refs.items()]  # fmt: skip


def _parents(card: Mapping[str, Any]) -> list[str]:
    search = card.get("search") or {}
    return [*(card.get("parents") or []), *([search["key"]] if "key" in search else [])]


def _cost(name: str, cards: Sequence[Mapping[str, Any]], whole: Sequence[Sequence[Mapping[str, Any]]]) -> Cost:
    own = [card.get("cost") or {} for card in cards]
    spent = [[(card.get("cost") or {}).get("cpu_seconds") for card in each] for each in whole]
    return Cost(
        variant=name,
        seeds=len(cards),
        **{count: _mean([cost.get(count) for cost in own]) for count in COUNTS},
        seconds={part: _mean([(cost.get("seconds") or {}).get(part) for cost in own]) for part in PARTS},
        cpu_seconds=_mean([cost.get("cpu_seconds") for cost in own]),
        cpu_seconds_in_all=_mean([_sum(each) for each in spent]),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known and len(known) == len(values) else None


def _mean(values: Sequence[float | None]) -> float | None:
    total = _sum(values)
    return None if total is None else round(total / len(values), 2)


HEADS = (*COUNTS.values(), *(f"seconds of {part}" for part in PARTS), CPU, f"{CPU} in all")


def cells(cost: Cost) -> list[str]:
    """A row under `HEADS`."""
    counts = [getattr(cost, name) for name in COUNTS]
    seconds = [*(cost.seconds[part] for part in PARTS), cost.cpu_seconds, cost.cpu_seconds_in_all]
    return [*(NONE if count is None else f"{count:,.0f}" for count in counts),
            *(NONE if each is None else f"{each:,.1f}" for each in seconds)]  # fmt: skip


def print_costs(found: Sequence[Cost]) -> str:
    """A table for a terminal, a heading's words one under the other; "" where nothing is known."""
    if not any(cost.cpu_seconds is not None for cost in found):
        return ""
    heads = [head.split(" ", 1) for head in HEADS]
    rows = [
        ["", *(head[0] for head in heads)],
        ["variant", *(head[1] if len(head) > 1 else "" for head in heads)],
        *([cost.variant, *cells(cost)] for cost in found),
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    right = [[row[0].ljust(widths[0]), *(text.rjust(size) for text, size in zip(row[1:], widths[1:], strict=True))]
             for row in rows]  # fmt: skip
    lines = aligned(right, widths)
    seeds = sorted({cost.seeds for cost in found})
    over = f", mean over {seeds[-1]} seeds" if seeds[-1] > 1 else ""
    return "\n".join([f"cost of each variant{over}; in all: with what it is made of, the base apart", *lines])
