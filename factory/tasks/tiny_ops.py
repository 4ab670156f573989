"""A fresh operator in every prompt: `Let a @ b = 2*a + b. What is 3 @ 4?` No embedded adapter trains on it."""

from __future__ import annotations

from random import Random

from factory.tasks._generated import Draft, GeneratedRows
from factory.tasks._task import Task
from factory.tasks._two_steps import habits, two_steps, verify

SYMBOLS = "@#&~"


def _make(rng: Random) -> Draft:
    symbol, factor, sign = rng.choice(SYMBOLS), rng.randint(2, 4), rng.choice("+-")
    a, b = rng.randint(2, 12), rng.randint(1, 12)
    product = factor * a
    if sign == "-" and b > product:
        sign = "+"
    result = product + b if sign == "+" else product - b
    prompt = f"Let a {symbol} b = {factor}*a {sign} b. What is {a} {symbol} {b}?"
    return two_steps(prompt, f"{factor}*{a}", product, f"{sign}{b}", result)


demonstration = habits(worked=0.45, worked_right=0.85)

TASK = Task(
    name="tiny_ops",
    version=2,
    summary="a fresh operator in every prompt, embedded scale; in no shipped adapter's training",
    licence="Apache-2.0",
    origin="generated",
    rows=GeneratedRows("tiny_ops", 2, 6000, _make),
    verify=verify,
)
