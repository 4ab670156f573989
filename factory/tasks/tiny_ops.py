"""A fresh operator in every prompt: `Let a @ b = 2*a + b. What is 3 @ 4?` No embedded adapter trains on it."""

from __future__ import annotations

from random import Random

from factory.core.records import Row, Verdict
from factory.tasks._generated import Draft, GeneratedRows, answered
from factory.tasks._habits import Habits
from factory.tasks._task import Task
from factory.verifiers import numeric

SYMBOLS = "@#&~"


def _make(rng: Random) -> Draft:
    symbol, factor, sign = rng.choice(SYMBOLS), rng.randint(2, 4), rng.choice("+-")
    a, b = rng.randint(2, 12), rng.randint(1, 12)
    product = factor * a
    if sign == "-" and b > product:
        sign = "+"
    result = product + b if sign == "+" else product - b
    prompt = f"Let a {symbol} b = {factor}*a {sign} b. What is {a} {symbol} {b}?"
    work = f"{factor}*{a}={product} {product}{sign}{b}={result}"
    parts = {"product": product, "step": f"{factor}*{a}={product}", "rest": f"{product}{sign}{b}"}
    return Draft(prompt, answered(work, result), {"answer": str(result), "style": "tag", "parts": parts})


def _slip(row: Row, rng: Random) -> str:
    parts, wrong = row.reference["parts"], int(row.reference["answer"]) + rng.choice((-10, -2, -1, 1, 2, 10))
    return answered(f"{parts['step']} {parts['rest']}={wrong}", wrong)


def _dominant(row: Row, rng: Random) -> str:
    """The product alone: the second number is forgotten."""
    del rng
    return answered("", row.reference["parts"]["product"])


def _quick(row: Row, rng: Random) -> str:
    del rng
    return answered("", row.reference["answer"])


def verify(completion: str, row: Row) -> Verdict:
    """Numeric equality of what stands in the answer envelope."""
    return numeric.verify(completion, row.reference)


demonstration = Habits(
    worked=0.45, worked_right=0.85, quick_right=0.10, dominant=0.8, quick=_quick, slip=_slip, wrong=_dominant
)

TASK = Task(
    name="tiny_ops",
    version=1,
    summary="a fresh operator in every prompt, embedded scale; in no shipped adapter's training",
    licence="Apache-2.0",
    origin="generated",
    rows=GeneratedRows("tiny_ops", 1, 6000, _make),
    verify=verify,
)
