"""What the benchmarks that follow lm-evaluation-harness have in common: worked examples, extraction by pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from factory.benchmarks._benchmark import Shots
from factory.core.errors import BadInput
from factory.core.records import Row, Split, Verdict
from factory.tasks._dataset import Dataset
from factory.tasks._task import Source

SHOT_SEED = 1234
"""The harness's default `fewshot_random_seed`."""
INVALID = "[invalid]"
GREEDY = {"samples": 0, "greedy": True, "max_new_tokens": 256}
"""The harness's default for generation; its own limit of 256 tokens where a task does not say more."""


class HeldOut:
    """The `items` of a benchmark that has a test split and no other; read once while its source stays the same.

    Args:
        dataset: whose part `test` they are.
        row: makes an item of one of its rows; None leaves it out.
    """

    def __init__(self, dataset: Dataset, row: Callable[[Mapping[str, Any]], Row | None]) -> None:
        self._dataset, self._row = dataset, row
        self._known: tuple[str, tuple[Row, ...]] | None = None

    def __call__(self, split: Split, source: Source) -> Sequence[Row]:
        """All items, in the dataset's order.

        Raises:
            BadInput: another split than `test`, or the rows cannot be had.
        """
        name = self._dataset.task
        if split != "test":
            raise BadInput(f"benchmark {name} has no {split} split, only test; a task of that name is task:{name}")
        fingerprint = self._dataset.fingerprint(source)
        if self._known is None or self._known[0] != fingerprint:
            made = map(self._row, self._dataset.rows("test", source))
            self._known = fingerprint, tuple(row for row in made if row is not None)
        return self._known[1]


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
