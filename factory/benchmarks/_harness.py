"""What the benchmarks that follow lm-evaluation-harness have in common: worked examples, extraction by pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from factory.benchmarks._benchmark import Shots
from factory.core.records import Row, Verdict
from factory.tasks._task import Source

SHOT_SEED = 1234
"""The harness's default `fewshot_random_seed`."""
INVALID = "[invalid]"
GREEDY = {"samples": 0, "greedy": True, "max_new_tokens": 256}
"""The harness's default for generation; its own limit of 256 tokens where a task does not say more."""


def drawn_shots(docs: Callable[[Source], Sequence[tuple[str, str]]]) -> Callable[[Source, int, int], list[Shots]]:
    """Worked examples drawn anew for each item, one generator for all items in order, as the harness does."""

    def shots(source: Source, items: int, number: int) -> list[Shots]:
        pool = list(docs(source))
        rng = Random(SHOT_SEED)
        return [tuple(rng.sample(pool, number)) for _ in range(items)]

    return shots


def first_shots(docs: Callable[[Source], Sequence[tuple[str, str]]]) -> Callable[[Source, int, int], list[Shots]]:
    """The same first examples before every item."""

    def shots(source: Source, items: int, number: int) -> list[Shots]:
        return [tuple(docs(source)[:number])] * items

    return shots


def extracted(pattern: re.Pattern[str], text: str, which: int = 0) -> str:
    """What the harness's regex filter takes from a text: the match `which` of all, its first group with content."""
    found: list[Any] = pattern.findall(text)
    if not found:
        return INVALID
    match = found[which]
    if isinstance(match, tuple):
        match = next((group for group in match if group), INVALID)
    return str(match).strip()


def by_likelihood(completion: str, row: Row) -> Verdict:
    """A choice as a verdict: whether the completion is the right choice's text."""
    return Verdict.of(completion == row.reference["choices"][row.reference["gold"]], "the choice with most likelihood")
