"""An expression that reaches a target, using each given number exactly once.

reference: `{"numbers": "8,73,96" | [8, 73, 96], "target": 841, "style": "boxed" | "tag"}`. Only + - * / and brackets
count, in exact fractions, read by our own parser: no `eval`, no powers, no functions (the authors' code allowed
them). The expression may be followed by `= target`, nothing else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.verifiers import _extract
from factory.verifiers._arithmetic import NotArithmetic, computed, spelled


def _given(reference: Mapping[str, Any]) -> tuple[Counter[int], int]:
    try:
        numbers = reference["numbers"]
        parts = numbers.split(",") if isinstance(numbers, str) else numbers
        return Counter(int(part) for part in parts), int(reference["target"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"countdown needs 'numbers' ('8,73,96') and 'target' (841), got {dict(reference)!r}"[:300]
        ) from error


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the expression uses the numbers and reaches the target.

    Components: `format` (an expression is there and can be read), `numbers` (each number once).

    Raises:
        BadInput: the reference has no numbers or target.
    """
    start = time.perf_counter()
    numbers, target = _given(reference)
    style = reference.get("style", "boxed")
    found = _extract.marked(completion, style)
    if found is None and style != "tag":
        found = _extract.outside_reasoning(completion).strip() or None

    def say(correct: bool, reason: str, **components: float) -> Verdict:
        return Verdict.of(correct, reason, seconds=time.perf_counter() - start, **components)

    if found is None:
        return say(False, "no expression found", format=0.0, numbers=0.0)
    expression, *results = spelled(found).split("=")
    try:
        value = computed(expression)
        said = [computed(result) for result in results]
    except NotArithmetic as error:
        return say(False, f"not an expression: {error}", format=0.0, numbers=0.0)
    if len(said) > 1 or any(one.value != value.value or one.steps for one in said):
        return say(False, "a false or chained equation", format=1.0, numbers=0.0)
    if Counter(value.numbers) != numbers:
        return say(False, "other numbers than the given ones, each once", format=1.0, numbers=0.0)
    correct = value.value == target
    return say(correct, "reaches the target" if correct else f"comes to {value.value}", format=1.0, numbers=1.0)
