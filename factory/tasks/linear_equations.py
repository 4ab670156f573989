"""Systems of linear equations that have exactly one solution, of whole numbers or fractions.

Difficulty is the number of unknowns, 1 to 4, and with it the range of coefficients. The solution is drawn first, then
coefficients of non-zero determinant, and the right sides follow; `tiny` is `3x + 4 = 19` with small whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from random import Random

from factory.core.hashing import key_of
from factory.core.records import Row, Verdict
from factory.tasks._habits import Habits, in_style
from factory.tasks._levels import drawn, levelled, names_of
from factory.tasks._style import Question
from factory.tasks._task import Task
from factory.verifiers import linear

VERSION = 1
LARGEST = {1: 20, 2: 9, 3: 9, 4: 9}
"""Coefficients go up to this; those of a row with a fractional solution are multiples of it."""
FRACTIONS = 0.2
NAMES = "xyzw"
ASKS = {
    "boxed": r" Work step by step and put the final answer in \boxed{}, for example \boxed{a = 2, b = -3/5}.",
    "tag": " Work step by step and give the answer like <answer>a = 2, b = -3/5</answer>.",
    "hashes": " Work step by step and give the answer after ####, for example #### a = 2, b = -3/5.",
    "plain": " Give nothing but the answer, for example a = 2, b = -3/5.",
}

Equation = list[Fraction]
"""Coefficients of the unknowns, then the right side."""


def _side(equation: Sequence[Fraction], unknowns: str) -> str:
    """The left side, `2x - y + (3/2)z`."""
    text = ""
    for factor, name in zip(equation, unknowns, strict=False):
        if factor:
            size = abs(factor)
            number = "" if size == 1 else str(size) if size.denominator == 1 else f"({size})"
            text += (" - " if factor < 0 else " + ") + number + name
    text = text.removeprefix(" + ")
    return "-" + text[3:] if text.startswith(" - ") else text or "0"


def _shown(equation: Sequence[Fraction], unknowns: str) -> str:
    return f"{_side(equation, unknowns)} = {equation[-1]}"


def _eliminated(system: list[Equation], unknowns: str) -> list[str]:
    """Gauss and Jordan's elimination, written down: every new equation, until each has one unknown."""
    rows, lines = [list(equation) for equation in system], []
    for place, name in enumerate(unknowns):
        pivot = next(row for row in range(place, len(rows)) if rows[row][place])
        rows[place], rows[pivot] = rows[pivot], rows[place]
        if rows[place][place] != 1:
            factor = rows[place][place]
            rows[place] = [value / factor for value in rows[place]]
            lines.append(f"Divide by {factor}: {_shown(rows[place], unknowns)}")
        for row in range(len(rows)):
            if row != place and rows[row][place]:
                factor = rows[row][place]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[place], strict=True)]
                lines.append(f"Eliminate {name}: {_shown(rows[row], unknowns)}")
    return lines


def _determinant(matrix: list[list[int]]) -> int:
    if len(matrix) == 1:
        return matrix[0][0]
    minors = ([row[:place] + row[place + 1 :] for row in matrix[1:]] for place in range(len(matrix)))
    return sum((-1) ** place * matrix[0][place] * _determinant(minor) for place, minor in enumerate(minors))


def _system(count: int, rng: Random) -> tuple[Question, object]:
    unknowns = NAMES[:count]
    denominators = (2, 3, 4, 5) if rng.random() < FRACTIONS else (1,)
    solution = [Fraction(rng.randint(-12, 12), rng.choice(denominators)) for _ in unknowns]
    largest, matrix = LARGEST[count], [[0]]
    while not _determinant(matrix):
        matrix = [[rng.choice((-1, 1)) * rng.randint(1, largest) for _ in unknowns] for _ in unknowns]
        for row in matrix:  # larger systems have gaps
            if count > 2 and rng.random() < 0.5:
                row[rng.randrange(count)] = 0
    system = []
    for row in matrix:
        right = sum((factor * value for factor, value in zip(row, solution, strict=True)), Fraction(0))
        system.append([Fraction(factor * right.denominator) for factor in row] + [right * right.denominator])
    if count == 1:
        return _one(system[0], solution[0], rng)
    equations = [_shown(equation, unknowns) for equation in system]
    text = f"Solve the system of equations {', '.join(equations)}."
    return _question(text, unknowns, solution, _eliminated(system, unknowns), sorted(equations))


def _one(equation: Equation, solution: Fraction, rng: Random) -> tuple[Question, object]:
    """One equation with its unknown on both sides."""
    factor, right = equation
    other, plus = rng.randint(-9, 9), rng.choice((-1, 1)) * rng.randint(1, 30)
    other = other if factor + other else other + 1
    ahead = f"{_side([factor + other], 'x')} {'-' if plus < 0 else '+'} {abs(plus)}"
    behind = f"{_side([Fraction(other)], 'x')} {'-' if right + plus < 0 else '+'} {abs(right + plus)}"
    behind = behind if other else str(right + plus)
    text = f"Solve the equation {ahead} = {behind} for x."
    lines = [_shown(equation, "x"), *([f"Divide by {factor}: x = {solution}"] if factor != 1 else [])]
    return _question(text, "x", [solution], lines, text)


def _tiny(rng: Random) -> tuple[Question, object]:
    factor, value, plus = rng.randint(2, 9), rng.randint(2, 20), rng.randint(1, 40)
    text = f"{factor}x + {plus} = {factor * value + plus}. x = ?"
    question, content = _question(text, "x", [Fraction(value)], [f"{factor}x = {factor * value}"], text)
    return question, content


def _question(
    text: str, unknowns: str, solution: list[Fraction], lines: list[str], content: object
) -> tuple[Question, object]:
    values = {name: str(value) for name, value in zip(unknowns, solution, strict=True)}
    answer = ", ".join(f"{name} = {value}" for name, value in values.items())
    difficulty = 0 if text.endswith("= ?") else len(unknowns)
    return Question(key_of(text), text, answer, {"solution": values}, "\n".join(lines), difficulty), content


def verify(completion: str, row: Row) -> Verdict:
    """Whether every unknown has its value."""
    return linear.verify(completion, row.reference)


def _said(row: Row, values: dict[str, Fraction]) -> str:
    return in_style(row, ", ".join(f"{name} = {value}" for name, value in values.items()))


def _slip(row: Row, rng: Random) -> str:
    """The work, and one value off."""
    values = {name: Fraction(value) for name, value in row.reference["solution"].items()}
    values[rng.choice(sorted(values))] += rng.choice((-10, -1, 1, 10))
    return f"{row.gold.rpartition(chr(10))[0]}\n{_said(row, values)}".lstrip()


def _undivided(row: Row, rng: Random) -> str:
    """Values that were not divided by their factor."""
    factor = rng.randint(2, 9)
    values = {name: Fraction(value) for name, value in row.reference["solution"].items()}
    return _said(row, {name: value * factor or Fraction(factor) for name, value in values.items()})


demonstration = Habits(slip=_slip, wrong=_undivided)

_LEVELS = drawn("linear_equations", VERSION, _system, tiny=_tiny)

TASK = Task(
    name="linear_equations",
    version=VERSION,
    summary="systems with exactly one solution, 1 to 3 unknowns (very_hard: 4)",
    licence="Apache-2.0",
    origin="generated",
    rows=levelled(_LEVELS, ASKS),
    verify=verify,
    components=("format", "unknowns"),
    levels=names_of(_LEVELS),
)
