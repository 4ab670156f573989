r"""The solution of a system of equations, by the names of its unknowns: `\boxed{x = 2, y = -3/2}`.

reference: `{"solution": {"x": "2", "y": "-3/2"}, "style": "boxed" | "tag" | "hashes" | "plain"}`. Values are exact:
whole numbers, fractions, decimals. The unknowns may come in any order, each once, and none but them; `(x, y) =
(2, -3/2)` counts too, and for a single unknown its bare value.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.verifiers import _extract
from factory.verifiers._arithmetic import spelled

LONGEST = 400
_NUMBER = re.compile(r"[-+]?\d{1,40}(?:\.\d{1,40})?(?:/-?\d{1,40})?")
_NAMES = re.compile(r"[A-Za-z](?:_?\d)?")


def _value(text: str) -> Fraction | None:
    text = text.replace("(", "").replace(")", "").replace(" ", "")
    if not _NUMBER.fullmatch(text):
        return None
    above, _, below = text.partition("/")
    divisor = int(below or 1)
    return Fraction(above) / divisor if divisor else None


def assigned(text: str) -> dict[str, Fraction] | None:
    """The values that a text gives to unknowns; None where it is anything but that, or gives one of them twice."""
    text = re.sub(r"\\(?:quad|text\{ ?and ?\}|land|wedge|\\)|\band\b|[;\n&]", ",", text[: LONGEST + 1])
    text = spelled(_extract.without_commands(text)) if len(text) <= LONGEST else ""
    left, equals, right = text.partition("=")
    if "," in left and equals:
        pairs = list(zip(left.strip("() ").split(","), right.strip("() ").split(","), strict=False))
        if left.count(",") != right.count(","):
            return None
    else:
        parts = [part.split("=") for part in text.strip("() .").split(",") if part.strip()]
        if any(len(part) != 2 for part in parts):
            return None
        pairs = [(name, value) for name, value in parts]
    found: dict[str, Fraction] = {}
    for name, written in pairs:
        value = _value(written)
        if value is None or not _NAMES.fullmatch(name.strip("() ")) or name.strip("() ") in found:
            return None
        found[name.strip("() ")] = value
    return found or None


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether every unknown has its value. Component `unknowns`: the share of them that have.

    Raises:
        BadInput: the reference has no solution.
    """
    start = time.perf_counter()
    try:
        gold = {str(name): Fraction(value) for name, value in reference["solution"].items()}
    except (KeyError, AttributeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BadInput(f"the row has no 'solution' such as {{'x': '2', 'y': '-3/2'}}: {error!r}") from error
    style = reference.get("style", "boxed")
    text = _extract.marked(completion, style)
    found = assigned(text) if text else None
    if found is None and text and len(gold) == 1 and (value := _value(text[:LONGEST])) is not None:
        found = dict.fromkeys(gold, value)
    seconds = time.perf_counter() - start
    if found is None:
        return Verdict.of(False, "no values of unknowns found", seconds=seconds, format=0.0, unknowns=0.0)
    right = sum(found.get(name) == value for name, value in gold.items())
    correct = found == gold
    reason = "the solution" if correct else f"{right} of {len(gold)} unknowns right"
    share = right / max(len(gold), len(found))
    return Verdict.of(correct, reason, seconds=seconds, format=1.0, unknowns=share)
