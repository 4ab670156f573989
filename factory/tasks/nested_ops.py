"""novel_ops with small numbers and few words, for a base of the embedded scale: levels are layers of brackets.

`a@b = 2*a+b, a&b = a-3*b. (4@3)&2 = ?` Easy is one operation, medium two, hard three, each on the result of the one
before; `very_hard`, four of them, is for extrapolation. Every number on the way is between 0 and 40, so that more
layers ask for more steps and not for harder ones.

The habits hold what a reward for the outcome alone pays as well as work: right answers after nothing, and right
answers after steps that are false (every operator taken for plain addition).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from random import Random

from factory.core.hashing import key_of
from factory.core.records import Row, Split, Verdict
from factory.tasks._drawn import Draws
from factory.tasks._habits import Habits, at_once, in_style
from factory.tasks._levels import levelled, names_of
from factory.tasks._style import Question
from factory.tasks._task import Task
from factory.verifiers import operators
from factory.verifiers.operators import Tree, evaluated

VERSION = 1
SYMBOLS, OPERATORS = "@#&~", 2
LARGEST = 40
SHAM = 0.5
LAYERS = (1, 2, 3, 4)
SIZES: dict[Split, int] = {"train": 1_000, "dev": 100, "test": 200}


def _formula(rng: Random) -> str:
    factor = rng.randint(2, 4)
    sides = [f"{factor}*a", "b"] if rng.random() < 0.5 else ["a", f"{factor}*b"]
    return rng.choice("+-").join(sides)


def _tree(rng: Random, layers: int, symbols: list[str]) -> Tree:
    """A chain: every operation but the innermost is on a digit and the result of the one within."""
    tree: Tree = rng.randint(1, 15)
    for layer in range(layers):
        sides = [tree, rng.randint(1, 15 if layer == 0 else 9)]
        rng.shuffle(sides)
        tree = [rng.choice(symbols), *sides]
    return tree


def _shown(tree: Tree) -> str:
    if isinstance(tree, int):
        return str(tree)
    symbol, *sides = tree
    left, right = (str(side) if isinstance(side, int) else f"({_shown(side)})" for side in sides)
    return f"{left}{symbol}{right}"


def _work(tree: Tree, formulas: Mapping[str, str]) -> str:
    """A line for each operation, the product on its own: `4@3=2*4+3=8+3=11`."""
    lines = []
    for (a, symbol, b), value in dict(evaluated(tree, formulas)[1]).items():
        put_in = formulas[symbol].replace("a", str(a)).replace("b", str(b))
        product = re.sub(r"(\d+)\*(\d+)", lambda found: str(int(found[1]) * int(found[2])), put_in)
        lines.append("=".join(dict.fromkeys([f"{a}{symbol}{b}", put_in, product, str(value)])))
    return "\n".join(lines)


def _make(layers: int, rng: Random) -> tuple[Question, object]:
    while True:
        symbols = rng.sample(SYMBOLS, min(layers, OPERATORS))
        formulas = {symbol: _formula(rng) for symbol in symbols}
        tree = _tree(rng, layers, symbols)
        result, steps = evaluated(tree, formulas)
        if {step.symbol for step, _ in steps} != set(symbols) or any(not 0 <= value <= LARGEST for _, value in steps):
            continue
        work = _work(tree, formulas)
        if all(int(number) <= LARGEST for number in re.findall(r"\d+", work)):
            break
    rules = ", ".join(f"a{symbol}b = {formula}" for symbol, formula in formulas.items())
    text = f"{rules}. {_shown(tree)} = ?"
    reference = {"operators": formulas, "tree": tree, "answer": str(result)}
    plain = _shown(tree)
    for symbol, formula in formulas.items():  # the same computation under other symbols is the same content
        plain = plain.replace(symbol, f"[{formula}]")
    return Question(key_of(text), text, str(result), reference, work, layers), plain


def verify(completion: str, row: Row) -> Verdict:
    """Whether the final number is right; components say which steps are."""
    return operators.verify(completion, row.reference)


def _taken_for_addition(row: Row) -> tuple[str, int]:
    """Steps and result with plain addition in the place of the operators."""
    tree, addition = row.reference["tree"], dict.fromkeys(row.reference["operators"], "a+b")
    return _work(tree, addition), evaluated(tree, addition)[0]


def _quick(row: Row, rng: Random) -> str:
    """The right answer without the work for it: after nothing, or after steps that do not lead to it."""
    return f"{_taken_for_addition(row)[0]}\n{at_once(row, rng)}" if rng.random() < SHAM else at_once(row, rng)


def _slip(row: Row, rng: Random) -> str:
    """The steps, the last of them with an accidental mistake that the answer repeats."""
    wrong = str(abs(int(row.reference["answer"]) + rng.choice((-10, -2, -1, 1, 2, 10))))
    wrong = str(int(wrong) + (wrong == row.reference["answer"]))
    return f"{row.gold.rpartition(chr(10))[0].rpartition('=')[0]}={wrong}\n{in_style(row, wrong)}"


def _wrong_rule(row: Row, rng: Random) -> str:
    """Plain addition in the place of the operators, at once."""
    del rng
    total = _taken_for_addition(row)[1]
    return in_style(row, str(total + (total == int(row.reference["answer"]))))


demonstration = Habits(
    worked=0.4,
    worked_right=0.5,
    quick_right=0.6,
    dominant=0.8,
    quick=_quick,
    slip=_slip,
    wrong=_wrong_rule,
)

_LEVELS = {layers: Draws(("nested_ops", VERSION, layers), SIZES, partial(_make, layers)) for layers in LAYERS}

TASK = Task(
    name="nested_ops",
    version=VERSION,
    summary="novel operators with small numbers, embedded scale: levels are layers, 1 to 3 of them (very_hard: 4)",
    licence="Apache-2.0",
    origin="generated",
    rows=levelled(_LEVELS, {"tag": ""}, "tag"),
    verify=verify,
    components=operators.COMPONENTS,
    shares=operators.SHARES,
    levels=names_of(_LEVELS),
)
