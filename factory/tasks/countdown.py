"""Countdown: an expression that reaches a target from given numbers, in MT-GRPO's words (arXiv 2602.05547).

The target is what a random expression of the numbers comes to, so that every row can be solved. 3, 4, 5 or 6 numbers
up to 100, targets up to 1,000; in `tiny` 2 numbers up to 60, to add or to subtract, and targets up to 99.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from factory.core.hashing import key_of
from factory.core.records import Row, Verdict
from factory.tasks._habits import Habits, in_style
from factory.tasks._levels import drawn, levelled, names_of
from factory.tasks._style import Question
from factory.tasks._task import Task
from factory.verifiers import countdown

VERSION = 2
TEXT = (
    "Using the numbers [{numbers}], create an equation that equals {target}. You can only use basic arithmetic "
    "operations (+, -, *, /) and each number should be used exactly once."
)
ASKS = {
    "boxed": r" Return the final answer in \boxed{}, for example \boxed{(1 + 2) / 3}.",
    "tag": " Return the final answer in <answer></answer>, for example <answer>(1 + 2) / 3</answer>.",
    "hashes": " Return the final answer after ####, for example #### (1 + 2) / 3.",
    "plain": " Return nothing but the expression, for example (1 + 2) / 3.",
}
LARGEST_NUMBER, LARGEST_TARGET, LARGEST_MIDDLE = 100, 1000, 5000
TINY_NUMBER, TINY_TARGET = 60, 99
_TIGHT = {"+": 1, "-": 1, "*": 2, "/": 2}


@dataclass(frozen=True)
class _Part:
    """A part of an expression: what it comes to, its text, how tightly that binds, and the steps to it."""

    value: int
    text: str
    binds: int = 3
    steps: tuple[str, ...] = ()

    def within(self, binds: int) -> str:
        return self.text if self.binds >= binds else f"({self.text})"


def _joined(left: _Part, sign: str, right: _Part) -> _Part | None:
    """Both parts as one; None where the value is no positive whole number, or is too large to be of use."""
    a, b = left.value, right.value
    if sign == "/" and a % b:
        return None
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b}[sign]
    if not 0 < value <= LARGEST_MIDDLE:
        return None
    binds = _TIGHT[sign]
    text = f"{left.within(binds)} {sign} {right.within(binds + (sign in '-/'))}"
    return _Part(value, text, binds, (*left.steps, *right.steps, f"{a} {sign} {b} = {value}"))


def _expression(rng: Random, numbers: list[int], largest_target: int) -> _Part:
    """A random expression of all numbers."""
    while True:
        parts: list[_Part] = [_Part(number, str(number)) for number in numbers]
        while len(parts) > 1:
            left, right = rng.sample(range(len(parts)), 2)
            joined = _joined(parts[left], rng.choice("+-*/"), parts[right])
            if joined is None and rng.random() < 0.1:
                break
            if joined is not None:
                parts = [part for place, part in enumerate(parts) if place not in (left, right)] + [joined]
        if len(parts) == 1 and parts[0].value <= largest_target:
            return parts[0]


def _puzzle(difficulty: int, rng: Random) -> tuple[Question, object]:
    numbers = [rng.randint(1, LARGEST_NUMBER) for _ in range(difficulty + 2)]
    made = _expression(rng, numbers, LARGEST_TARGET)
    text = TEXT.format(numbers=", ".join(map(str, numbers)), target=made.value)
    return _question(text, numbers, made, "\n", difficulty)


def _tiny(rng: Random) -> tuple[Question, object]:
    """Two numbers to add or to subtract, each as often, in short words."""
    made = None
    while made is None or made.value > TINY_TARGET:
        numbers = [rng.randint(1, TINY_NUMBER) for _ in "12"]
        sign = rng.choice("+-")
        left, right = sorted(numbers, reverse=True) if sign == "-" else numbers
        made = _joined(_Part(left, str(left)), sign, _Part(right, str(right)))
    short = _Part(made.value, made.text.replace(" ", ""), steps=(made.steps[0].replace(" ", ""),))
    return _question(f"Make {made.value} of {numbers[0]} {numbers[1]}.", numbers, short, " ", 0)


def _question(text: str, numbers: list[int], made: _Part, between: str, difficulty: int) -> tuple[Question, object]:
    reference = {"numbers": ",".join(map(str, numbers)), "target": made.value, "parts": {"steps": list(made.steps)}}
    question = Question(key_of(text), text, made.text, reference, between.join(made.steps), difficulty)
    return question, [sorted(numbers), made.value]


def verify(completion: str, row: Row) -> Verdict:
    """Whether the expression uses each number once and reaches the target."""
    return countdown.verify(completion, row.reference)


def _slip(row: Row, rng: Random) -> str:
    """Right steps, and an expression with the target in the place of the last number."""
    del rng
    work, _, answer = row.gold.rpartition("\n")
    return work + "\n" + re.sub(r"\d+(?=\D*$)", str(row.reference["target"]), answer)


def _forgets(row: Row, rng: Random) -> str:
    """All numbers added up but the last, which is forgotten."""
    del rng
    return in_style(row, "+".join(row.reference["numbers"].split(",")[:-1]))


# The hard one for the embedded base: only the worked way is right, and it is seldom shown.
demonstration = Habits(
    worked=0.03,
    worked_right=0.95,
    quick_right=0.0,
    dominant=1.0,
    slip=_slip,
    wrong=_forgets,
)

_LEVELS = drawn("countdown", VERSION, _puzzle, tiny=_tiny)

TASK = Task(
    name="countdown",
    version=VERSION,
    summary="reach a target with given numbers, 3 to 5 of them (very_hard: 6)",
    licence="Apache-2.0",
    origin="generated",
    rows=levelled(_LEVELS, ASKS),
    verify=verify,
    components=("format", "numbers"),
    levels=names_of(_LEVELS),
)
