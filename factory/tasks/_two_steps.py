"""Sums of two operations, worked as `7+12=19 19-3=16`: what tiny_math and tiny_ops have in common."""

from __future__ import annotations

from random import Random

from factory.core.records import Row, Verdict
from factory.tasks._generated import Draft, answered
from factory.tasks._habits import Habits
from factory.verifiers import numeric


def two_steps(prompt: str, first: str, middle: int, second: str, result: int) -> Draft:
    """A row: `first` is the first operation, `second` what is done to its result (`+3`)."""
    step, rest = f"{first}={middle}", f"{middle}{second}"
    parts = {"step": step, "middle": middle, "rest": rest}
    reference = {"answer": str(result), "style": "tag", "parts": parts}
    return Draft(prompt, answered(f"{step} {rest}={result}", result), reference)


def verify(completion: str, row: Row) -> Verdict:
    """Numeric equality of what stands in the answer envelope."""
    return numeric.verify(completion, row.reference)


def habits(worked: float, worked_right: float) -> Habits:
    """The habits of both tasks; the quick mistake is to stop after the first operation."""
    return Habits(
        worked=worked,
        worked_right=worked_right,
        quick_right=0.10,
        dominant=0.8,
        quick=_quick,
        slip=_slip,
        wrong=_stops_early,
    )


def _slip(row: Row, rng: Random) -> str:
    """Worked steps with a wrong result of the second one."""
    parts, wrong = row.reference["parts"], int(row.reference["answer"]) + rng.choice((-10, -2, -1, 1, 2, 10))
    return answered(f"{parts['step']} {parts['rest']}={wrong}", wrong)


def _stops_early(row: Row, rng: Random) -> str:
    del rng
    return answered("", row.reference["parts"]["middle"])


def _quick(row: Row, rng: Random) -> str:
    del rng
    return answered("", row.reference["answer"])
