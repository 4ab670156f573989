"""When two query results are equal: Spider's execution accuracy, in meaning.

Order matters only if the gold query says ORDER BY; otherwise results are bags of rows. Columns may stand in any order
and their names do not matter. Values compare as Python's (1 == 1.0, '1' != 1, NULL == NULL), without tolerance. Two
empty results are equal whatever their columns. The official evaluator (taoyds/test-suite-sql-eval, exec_eval.py)
tries all permutations of columns and can hang; here columns are matched by what they hold, row prefix by row prefix.

Standard library only: this runs inside the sandbox.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

Rows = Sequence[tuple[Any, ...]]
MOST_TRIES = 2000


def equal_results(gold: Rows, predicted: Rows, *, ordered: bool) -> bool:
    """Whether the results, lists of row tuples, are equal under some permutation of the columns."""
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
        return False
    gold_columns, columns = list(zip(*gold, strict=True)), list(zip(*predicted, strict=True))
    if ordered:
        return Counter(gold_columns) == Counter(columns)
    if len(columns) == 1:
        return Counter(gold_columns[0]) == Counter(columns[0])
    return _match(gold_columns, columns)


def _match(gold: list[tuple[Any, ...]], columns: list[tuple[Any, ...]]) -> bool:
    """Depth-first: gold column i is matched with an unused one of the same content that keeps the row bags equal.

    The search is bounded; results that need more than `MOST_TRIES` trials (dozens of columns that all hold the same
    values, differently paired) count as different.
    """
    contents = [frozenset(Counter(column).items()) for column in columns]
    candidates = []
    for column in gold:
        content = frozenset(Counter(column).items())
        candidates.append([place for place, other in enumerate(contents) if other == content])
    order = sorted(range(len(gold)), key=lambda place: len(candidates[place]))
    tries = 0

    def extend(depth: int, chosen: list[int]) -> bool:
        nonlocal tries
        if depth == len(order):
            return True
        prefix = Counter(zip(*(gold[place] for place in order[: depth + 1]), strict=True))
        seen = []
        for place in candidates[order[depth]]:
            if place in chosen or columns[place] in seen:
                continue
            seen.append(columns[place])
            tries += 1
            if tries > MOST_TRIES:
                return False
            now = [*chosen, place]
            same = Counter(zip(*(columns[other] for other in now), strict=True)) == prefix
            if same and extend(depth + 1, now):
                return True
        return False

    return extend(0, [])
