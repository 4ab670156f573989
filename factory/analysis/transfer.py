"""Where tasks help one another and where they hurt: transfer, interference, retention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from factory.analysis import statistics
from factory.analysis.cells import BASE, Matrix, Mode
from factory.analysis.comparison import Comparison
from factory.analysis.statistics import Estimate
from factory.store.ref import loading_of, on_loading

Kind = Literal["change", "transfer", "interference", "retention"]


@dataclass(frozen=True, slots=True)
class Effect(Comparison):
    """One comparison of two variants on one benchmark.

    Attributes:
        kind: `change` (any variant - base), `transfer` (adapter - base), `interference` (combined - specialist),
            `retention` ((combined - base) / (specialist - base)).
        variant: what is looked at.
        against: what it is compared with: the base or the specialist.
        own: whether the variant was trained on this benchmark's task; transfer proper is where it was not.
        estimate: None where it cannot be said: a cell is missing, or a retention's specialist gained nothing sure.
        p_adjusted: Holm-adjusted over all comparisons of this kind and mode; None for retention.
    """

    kind: Kind
    variant: str
    against: str
    benchmark: str
    mode: Mode
    own: bool
    estimate: Estimate | None
    p_adjusted: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "variant": self.variant,
            "against": self.against,
            "benchmark": self.benchmark,
            "mode": self.mode,
            "own": self.own,
            **self.numbers(),
        }


def changes(matrix: Matrix, mode: Mode) -> list[Effect]:
    """Every variant against the base on every benchmark: the matrix's own family of comparisons."""
    others = [variant for variant in matrix.variants if variant != BASE]
    pairs = [(variant, base_of(variant)) for variant in others]
    return _adjusted([_against("change", matrix, mode, pair, b) for pair in pairs for b in matrix.benchmarks])


def base_of(variant: str) -> str:
    """What a variant is compared with: the base, loaded as it is; a base loaded otherwise, with the base."""
    bare, loading = loading_of(variant)
    return BASE if loading is None or bare == BASE else on_loading(BASE, loading)


def transfer(matrix: Matrix, mode: Mode) -> list[Effect]:
    """Adapter i on benchmark j minus the base; `own` marks the diagonal."""
    pairs = [(variant, base_of(variant)) for variant in matrix.variants if variant.startswith("adapter:")]
    return _adjusted([_against("transfer", matrix, mode, pair, b) for pair in pairs for b in matrix.benchmarks])


def interference(matrix: Matrix, mode: Mode) -> list[Effect]:
    """A merge or a joint adapter minus the specialist of the benchmark's task; below 0 is what combining costs."""
    return _adjusted(
        [_against("interference", matrix, mode, (both, one), b) for both, one, b in combined_and_specialist(matrix)]
    )


def retention(matrix: Matrix, mode: Mode) -> list[Effect]:
    """The share of the specialist's gain that a merge or a joint adapter keeps, with Fieller's interval."""
    effects = []
    for both, one, benchmark in combined_and_specialist(matrix):
        base, top, bottom = matrix.table((base_of(both), both, one), benchmark, mode)
        estimate = statistics.ratio(top - base, bottom - base)
        effects.append(Effect("retention", both, one, benchmark, mode, True, estimate))
    return effects


def combined_and_specialist(matrix: Matrix) -> Iterator[tuple[str, str, str]]:
    """All (combined variant, specialist, benchmark) in the matrix's order.

    Combined is every merge and every adapter of several tasks, on the benchmarks it was trained for. A specialist is an
    adapter that was trained for the benchmark too and for fewer tasks, all among the combined one's; for a merge of
    adapters of one task, each adapter of that task.
    """
    for variant in matrix.variants:
        tasks = set(matrix.trained_tasks(variant))
        for benchmark in matrix.benchmarks:
            for one in matrix.variants:
                own = set(matrix.trained_tasks(one))
                fewer = own < tasks or (variant.startswith("merge:") and own == tasks and len(own) == 1)
                alike = loading_of(one)[1] == loading_of(variant)[1]
                if one.startswith("adapter:") and alike and matrix.trained(one, benchmark) and fewer:
                    yield variant, one, benchmark


def _against(kind: Kind, matrix: Matrix, mode: Mode, pair: tuple[str, str], benchmark: str) -> Effect:
    variant, other = pair
    own = matrix.trained(variant, benchmark)
    return Effect(kind, variant, other, benchmark, mode, own, matrix.change(other, variant, benchmark, mode))


def _adjusted(effects: list[Effect]) -> list[Effect]:
    places = [i for i, effect in enumerate(effects) if effect.estimate is not None]
    p_values = [e.p for i in places if (e := effects[i].estimate) is not None and e.p is not None]
    result = list(effects)
    for place, p in zip(places, statistics.holm(p_values), strict=True):
        result[place] = replace(effects[place], p_adjusted=p)
    return result
