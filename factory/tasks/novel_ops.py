"""Operators that no text has: fresh symbols with fresh formulas in every row, so that memory cannot help.

`a ⊜ b = a^2 + b + 3`, `a ⊙ b = 4*a - 3*b`, and then `3 ⊙ (15 ⊜ 14)`. Easy is one operator once, medium two nested,
hard three with squares and products in three layers; `very_hard`, `level5` and `level6` go on from there. The
reference holds the formulas and the tree, so that every step can be checked, and computed again with one altered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from factory.core.hashing import key_of
from factory.core.records import Row, Verdict
from factory.tasks._habits import Habits, in_style
from factory.tasks._levels import drawn, levelled, names_of
from factory.tasks._style import Question
from factory.tasks._task import Task
from factory.verifiers import operators
from factory.verifiers.operators import Operation, Tree, evaluated

VERSION = 1
SYMBOLS, TINY_SYMBOLS = "⊕⊖⊗⊘⊙⊚⊛⊜⊝⊞⊟⊠⊡⋄⋆◇△▽◁▷☆♢∇≀⋈", "@#&~"
ASKS = {
    "boxed": r" Compute step by step and put the final number in \boxed{}.",
    "tag": " Compute step by step and give the final number as <answer>NUMBER</answer>.",
    "hashes": " Compute step by step and give the final number after ####.",
    "plain": " Give nothing but the final number.",
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is drawn at a difficulty: operators, layers of brackets, whether formulas have squares and products."""

    operators: int
    depth: int
    rich: bool
    largest: int


SHAPES = {
    0: _Shape(1, 2, False, 99),
    1: _Shape(1, 1, False, 999),
    2: _Shape(2, 2, False, 999),
    3: _Shape(3, 3, True, 9_999),
    4: _Shape(3, 4, True, 9_999),
    5: _Shape(4, 5, True, 99_999),
    6: _Shape(4, 6, True, 99_999),
}


def _formula(rng: Random, rich: bool) -> str:
    def times(letter: str) -> str:
        factor = rng.randint(1, 5)
        return letter if factor == 1 else f"{factor}*{letter}"

    kind = rng.choice(("linear", "square", "product")) if rich else "linear"
    first = {"linear": times("a"), "square": "a^2", "product": "a*b"}[kind]
    second = times(rng.choice("ab") if kind == "product" else "b")
    constant = rng.randint(0, 9)
    tail = f" {rng.choice('+-')} {constant}" if constant else ""
    return f"{first} {rng.choice('+-')} {second}{tail}"


def _tree(rng: Random, depth: int, symbols: Sequence[str]) -> Tree:
    """A tree of exactly that depth; a branch beside the deepest one is mostly a number."""
    if depth == 0:
        return rng.randint(2, 15)
    beside = _tree(rng, rng.randint(1, depth - 1) if depth > 2 and rng.random() < 0.3 else 0, symbols)
    sides = [_tree(rng, depth - 1, symbols), beside]
    rng.shuffle(sides)
    return [rng.choice(symbols), *sides]


def _shown(tree: Tree) -> str:
    if isinstance(tree, int):
        return str(tree)
    symbol, *sides = tree
    left, right = (_shown(side) if isinstance(side, int) else f"({_shown(side)})" for side in sides)
    return f"{left} {symbol} {right}"


def _number(value: int) -> str:
    return f"({value})" if value < 0 else str(value)


def _step(operation: Operation, value: int, formulas: Mapping[str, str]) -> str:
    a, symbol, b = operation
    put_in = "".join({"a": _number(a), "b": _number(b)}.get(sign, sign) for sign in formulas[symbol])
    return f"{_number(a)} {symbol} {_number(b)} = {put_in} = {value}"


def _make(difficulty: int, rng: Random) -> tuple[Question, object]:
    shape = SHAPES[difficulty]
    while True:
        symbols = rng.sample(SYMBOLS if difficulty else TINY_SYMBOLS, shape.operators)
        formulas = {symbol: _formula(rng, shape.rich) for symbol in symbols}
        tree = _tree(rng, shape.depth if difficulty else rng.randint(1, 2), symbols)
        result, steps = evaluated(tree, formulas)
        rich_enough = not shape.rich or any("^" in one or "a*b" in one for one in formulas.values())
        if (
            rich_enough
            and {operation.symbol for operation, _ in steps} == set(symbols)
            and all(abs(value) <= shape.largest for _, value in steps)
        ):
            break
    rules = [f"a {symbol} b = {formula}" for symbol, formula in formulas.items()]
    if difficulty:
        text = f"New operators are defined: {', '.join(rules)}.\nCompute {_shown(tree)}."
    else:
        text = f"{rules[0]}. {_shown(tree)} = ?"
    lines = [_step(operation, value, formulas) for operation, value in dict(steps).items()]
    reference = {"operators": formulas, "tree": tree, "answer": str(result)}
    question = Question(key_of(text), text, str(result), reference, "\n".join(lines), difficulty)
    plain = _shown(tree)
    for symbol, formula in formulas.items():  # the same computation under other symbols is the same content
        plain = plain.replace(symbol, f"[{formula}]")
    return question, plain


def verify(completion: str, row: Row) -> Verdict:
    """Whether the final number is right; components say which steps are."""
    return operators.verify(completion, row.reference)


def _slip(row: Row, rng: Random) -> str:
    """The steps, the last of them with an accidental mistake that the answer repeats."""
    wrong = str(int(row.reference["answer"]) + rng.choice((-10, -2, -1, 1, 2, 10)))
    work = row.gold.rpartition("\n")[0]
    return f"{work.rpartition('= ')[0]}= {wrong}\n{in_style(row, wrong)}"


def _wrong_rule(row: Row, rng: Random) -> str:
    """Plain addition in the place of the operators."""
    del rng
    total = sum(map(int, re.findall(r"\d+", str(row.reference["tree"]))))
    return in_style(row, str(total + (total == int(row.reference["answer"]))))


demonstration = Habits(slip=_slip, wrong=_wrong_rule)

_LEVELS = drawn("novel_ops", VERSION, _make, difficulties=SHAPES)

TASK = Task(
    name="novel_ops",
    version=VERSION,
    summary="operators made up for the row, 1 to 3 of them in as many layers (level6: 4 in 6)",
    licence="Apache-2.0",
    origin="generated",
    rows=levelled(_LEVELS, ASKS),
    verify=verify,
    components=operators.COMPONENTS,
    shares=operators.SHARES,
    levels=names_of(_LEVELS),
)
