"""Completions before and after training, chosen by a fixed rule and not by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from factory.analysis.cells import BASE, Cell, Matrix
from factory.core.records import Outcome

LONGEST = 1500
RULES = {
    (False, True): "first item wrong before and right after",
    (True, False): "first item right before and wrong after",
    (False, False): "first item wrong both times",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One completion as the page shows it."""

    text: str
    right: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Example:
    """One item, the base's completion and a variant's; `prompt` is "" where the cell does not keep it."""

    rule: str
    benchmark: str
    item: str
    prompt: str
    before: Said
    after: Said


def examples(matrix: Matrix, variant: str) -> list[Example]:
    """For each benchmark the first item (in the benchmark's order, first seed scored) of each rule that has one."""
    found = []
    for benchmark in matrix.benchmarks:
        for seed in matrix.seeds:
            before = matrix.cells.get((BASE, benchmark, seed))
            after = matrix.cells.get((variant, benchmark, seed))
            if before is not None and after is not None:
                found += _of_pair(before, after)
                break
    return found


def _of_pair(before: Cell, after: Cell) -> list[Example]:
    greedy = bool(before.greedy.size and after.greedy.size)
    later = {outcome.item: outcome for outcome in after.outcomes()}
    prompts: Mapping[str, str] = before.prompts()
    first: dict[tuple[bool, bool], Example] = {}
    for outcome in before.outcomes():
        if outcome.item not in later:
            continue
        old, new = _said(outcome, greedy), _said(later[outcome.item], greedy)
        if old is None or new is None:
            continue
        case = (old.right, new.right)
        if case in RULES and case not in first:
            prompt = _cut(prompts.get(outcome.item, ""))
            first[case] = Example(RULES[case], before.benchmark, outcome.item, prompt, old, new)
    return [first[case] for case in RULES if case in first]


def _said(outcome: Outcome, greedy: bool) -> Said | None:
    """The greedy completion if both cells have one, else the first sample; None if it is unscorable."""
    place = len(outcome.scores) if greedy else 0
    score = outcome.greedy if greedy else next(iter(outcome.scores), None)
    if score is None or place >= len(outcome.completions):
        return None
    reason = outcome.reasons[place] if place < len(outcome.reasons) else ""
    return Said(_cut(outcome.completions[place]), score >= 1, reason)


def _cut(text: str) -> str:
    rest = len(text) - LONGEST
    return text if rest <= 0 else f"{text[:LONGEST]} … ({rest} more characters)"
