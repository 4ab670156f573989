"""A computation with its steps: the final number, and every written step held against the expression's own tree.

reference: `{"expression": "7 + 12 - 3", "answer": "16"?, "style": "tag" | "hashes" | "boxed"}`. Steps are what stands
before the answer in the form `7+12=19`. A step is right if it is an operation of the tree and its result is exact. An
answer after a wrong step does not count as solved, whatever it is; an answer without steps does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.verifiers import _extract, numeric
from factory.verifiers._arithmetic import NotArithmetic, Step, computed, spelled

_STEP = re.compile(
    r"(?<![\d.])(-?\d{1,30})\s{0,3}([-+*/])\s{0,3}(-?\d{1,30})\s{0,3}=\s{0,3}(-?\d{1,30}(?:/\d{1,30})?)(?![\d.])"
)
MOST_STEPS = 1000


def _key(left: Fraction, operator: str, right: Fraction) -> tuple[Any, ...]:
    return (operator, *sorted((left, right))) if operator in "+*" else (operator, left, right)


def written_steps(text: str) -> list[Step]:
    """The steps in a text, as they claim to be."""
    found = _STEP.findall(spelled(text[-_extract.LONGEST :]))[:MOST_STEPS]
    return [Step(Fraction(a), sign, Fraction(b), Fraction(c)) for a, sign, b, c in found if not c.endswith("/0")]


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the answer is right and no written step is wrong. Component `steps`: the share of the tree shown right.

    Raises:
        BadInput: the expression cannot be computed, or the given answer is not its value.
    """
    start = time.perf_counter()
    try:
        tree = computed(spelled(str(reference["expression"])))
    except (KeyError, NotArithmetic) as error:
        raise BadInput(f"the row's 'expression' cannot be computed: {error}") from error
    answer = str(reference.get("answer", tree.value))
    given = numeric.number_in(answer)
    if given is None or given[0] != tree.value:
        raise BadInput(f"the gold answer {answer!r} is not the value of {reference['expression']!r}, {tree.value}")
    verdict = numeric.verify(completion, {"answer": str(tree.value), "style": reference.get("style", "tag")})
    known = {_key(step.left, step.operator, step.right): step.value for step in tree.steps}
    text = _extract.outside_reasoning(completion)
    place = text.rfind("<answer>")
    wrong, right = "", set()
    for step in written_steps(text[:place] if place >= 0 else text):
        key = _key(step.left, step.operator, step.right)
        if known.get(key) == step.value:
            right.add(key)
        else:
            wrong = wrong or f"wrong step {step.left}{step.operator}{step.right}={step.value}"
    share = len(right) / len(known) if known else 1.0
    correct = bool(verdict.correct) and not wrong
    seconds = time.perf_counter() - start
    reason = wrong or verdict.reason
    return Verdict.of(correct, reason, seconds=seconds, format=verdict.components["format"], steps=share)
