"""Three-number sums: `What is 7 + 12 - 3?`, answered after the worked steps `7+12=19 19-3=16`."""

from __future__ import annotations

from random import Random

from factory.core.records import Row, Verdict
from factory.tasks._generated import Draft, GeneratedRows, answered
from factory.tasks._habits import Habits
from factory.tasks._task import Task
from factory.verifiers import numeric

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
    work = f"{a}{first}{b}={middle} {middle}{second}{c}={result}"
    parts = {"work": work, "middle": middle, "first": f"{a}{first}{b}", "second": f"{second}{c}"}
    return Draft(prompt, answered(work, result), {"answer": str(result), "style": "tag", "parts": parts})


def _slip(row: Row, rng: Random) -> str:
    """Worked steps with a wrong result of the second one."""
    parts, wrong = row.reference["parts"], int(row.reference["answer"]) + rng.choice((-10, -2, -1, 1, 2, 10))
    return answered(f"{parts['first']}={parts['middle']} {parts['middle']}{parts['second']}={wrong}", wrong)


def _dominant(row: Row, rng: Random) -> str:
    """The answer after the first operation: the last number is forgotten."""
    del rng
    return answered("", row.reference["parts"]["middle"])


def _quick(row: Row, rng: Random) -> str:
    del rng
    return answered("", row.reference["answer"])


def verify(completion: str, row: Row) -> Verdict:
    """Numeric equality of what stands in the answer envelope."""
    return numeric.verify(completion, row.reference)


demonstration = Habits(
    worked=0.36, worked_right=0.92, quick_right=0.10, dominant=0.8, quick=_quick, slip=_slip, wrong=_dominant
)

TASK = Task(
    name="tiny_math",
    version=1,
    summary="three-number sums, embedded scale",
    licence="Apache-2.0",
    origin="generated",
    rows=GeneratedRows("tiny_math", 1, 12000, _make),
    verify=verify,
)
