"""Three-number sums: `What is 7 + 12 - 3?`, answered after the worked steps `7+12=19 19-3=16`."""

from __future__ import annotations

from random import Random

from factory.tasks._generated import Draft, GeneratedRows
from factory.tasks._task import Task
from factory.tasks._two_steps import habits, two_steps, verify

ASKS = ("What is {}?", "Compute {}.", "Work out {}.", "Find {}.")


def _make(rng: Random) -> Draft:
    a, b, c = (rng.randint(2, 12) for _ in range(3))
    first, second = rng.choice("+-"), rng.choice("+-")
    if first == "-" and b > a:
        a, b = b, a
    middle = a + b if first == "+" else a - b
    if second == "-" and c > middle:
        second = "+"
    result = middle + c if second == "+" else middle - c
    prompt = rng.choice(ASKS).format(f"{a} {first} {b} {second} {c}")
    return two_steps(prompt, f"{a}{first}{b}", middle, f"{second}{c}", result)


demonstration = habits(worked=0.36, worked_right=0.92)

TASK = Task(
    name="tiny_math",
    version=2,
    summary="three-number sums, embedded scale",
    licence="Apache-2.0",
    origin="generated",
    rows=GeneratedRows("tiny_math", 2, 12000, _make),
    verify=verify,
)
