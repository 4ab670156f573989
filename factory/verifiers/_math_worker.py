"""Compares two LaTeX answers with math-verify. Runs inside a killable, sandboxed worker: nothing here limits time.

A request is `{"gold", "answer", "sides"}`; `sides` are the two sides of an equation that must be true, or null. The one
door to math-verify.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from math_verify import LatexExtractionConfig, parse, verify

logging.disable(logging.WARNING)  # it warns at every call that its signal-based limits are off

_LATEX = [LatexExtractionConfig()]
_WARM_UP = ((r"\frac{1}{2}", "0.5"), ("(1,2)", "(2,1)"), (r"\sqrt{2}x^2+1", "y=3x"), (r"[0,1)\cup(2,3]", r"\{1,2\}"))


def parsed(text: str) -> list[Any]:
    """What math-verify makes of a formula; empty if nothing."""
    return list(parse(f"${text}$", extraction_config=_LATEX, parsing_timeout=None, fallback_mode="no_fallback"))


@lru_cache(maxsize=4096)
def gold_parsed(text: str) -> list[Any]:
    """A gold answer, parsed once."""
    return parsed(text)


def equal(gold: list[Any], answer: list[Any]) -> bool:
    """math-verify's equality; gold goes first, it is not symmetric."""
    return bool(gold and answer and verify(gold, answer, timeout_seconds=None))


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Gives `{"parsed": the gold is understood, "correct"}`."""
    gold = gold_parsed(request["gold"])
    if not gold:
        return {"parsed": False, "correct": False}
    if request["sides"]:
        left, right = (parsed(side) for side in request["sides"])
        if not (equal(left, right) and equal(right, left)):
            return {"parsed": True, "correct": False}
    return {"parsed": True, "correct": equal(gold, parsed(request["answer"]))}


def warm_up() -> None:
    """Build the grammar's tables before anything is forked."""
    for gold, answer in _WARM_UP:
        equal(parsed(gold), parsed(answer))


warm_up()
