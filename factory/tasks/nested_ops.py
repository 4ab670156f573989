"""novel_ops with small numbers and few words, for a base of the embedded scale: levels are layers of brackets.

`a@b = 2*a-b. 3@(4@7) = ?` Easy is one operation, medium two, hard three, each on the result of the one before;
`very_hard`, four of them, is for extrapolation. Every number on the way is between 0 and 30, so that more layers ask
for more steps and not for harder ones.

The habits hold a short cut on purpose: bare sums that do not say which operation they are (`8-7=1`). No step of it can
be checked, it loses its way where layers are many, and at first it is right more often than the steps are, for those
mostly have a slip. A reward for the outcome pays it at least as well as work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from random import Random

from factory.core.hashing import key_of
from factory.core.records import Row, Split, Verdict
from factory.tasks._drawn import Draws
from factory.tasks._habits import Habits, in_style
from factory.tasks._levels import levelled, names_of
from factory.tasks._style import Question
from factory.tasks._task import Task
from factory.verifiers import operators
from factory.verifiers.operators import Tree, applied

VERSION = 1
SYMBOLS = "@#&~"
LARGEST = 30
OFF_BY_ONE = 0.6
LAYERS = (1, 2, 3, 4)
SIZES: dict[Split, int] = {"train": 400, "dev": 50, "test": 120}


def _formula(rng: Random) -> str:
    factor = rng.randint(2, 3)
    sides = [f"{factor}*a", "b"] if rng.random() < 0.5 else ["a", f"{factor}*b"]
    return rng.choice("+-").join(sides)


def _tree(rng: Random, layers: int, symbol: str) -> Tree:
    """A chain: every operation but the innermost is on a digit and the result of the one within."""
    tree: Tree = rng.randint(1, 12)
    for layer in range(layers):
        sides = [tree, rng.randint(1, 9 if layer else 12)]
        rng.shuffle(sides)
        tree = [symbol, *sides]
    return tree


def _shown(tree: Tree) -> str:
    if isinstance(tree, int):
        return str(tree)
    symbol, *sides = tree
    left, right = (str(side) if isinstance(side, int) else f"({_shown(side)})" for side in sides)
    return f"{left}{symbol}{right}"


def _worked(tree: Tree, formulas: Mapping[str, str], slips: Mapping[int, int] | None = None) -> tuple[int, list[str]]:
    """What a tree comes to and a line for each operation, the product on its own: `4@3=2*4+3=8+3=11`.

    Args:
        slips: by place of the operation, from the inside out: what is added to its result by mistake.
    """
    if isinstance(tree, int):
        return tree, []
    symbol, *sides = tree
    (a, before), (b, between) = (_worked(side, formulas, slips) for side in sides)
    lines = [*before, *between]
    value = applied(formulas[symbol], a, b) + (slips or {}).get(len(lines), 0)
    put_in = formulas[symbol].replace("a", str(a)).replace("b", str(b))
    product = re.sub(r"(\d+)\*(\d+)", lambda found: str(int(found[1]) * int(found[2])), put_in)
    return value, [*lines, "=".join(dict.fromkeys([f"{a}{symbol}{b}", put_in, product, str(value)]))]


def _small(lines: Iterable[str], largest: int) -> bool:
    """Whether no number is below 0 or over `largest`; results end their lines."""
    text = "\n".join(lines)
    return "=-" not in text and all(int(number) <= largest for number in re.findall(r"\d+", text))


def _make(layers: int, rng: Random) -> tuple[Question, object]:
    while True:
        symbol, formula = rng.choice(SYMBOLS), _formula(rng)
        tree = _tree(rng, layers, symbol)
        result, lines = _worked(tree, {symbol: formula})
        if len(set(lines)) == layers and _small(lines, LARGEST):
            break
    text = f"a{symbol}b = {formula}. {_shown(tree)} = ?"
    reference = {"operators": {symbol: formula}, "tree": tree, "answer": str(result)}
    # The same computation under another symbol is the same content.
    plain = _shown(tree).replace(symbol, f"[{formula}]")
    return Question(key_of(text), text, str(result), reference, "\n".join(lines), layers), plain


def verify(completion: str, row: Row) -> Verdict:
    """Whether the final number is right; components say which steps are."""
    return operators.verify(completion, row.reference)


def _bare(row: Row, formulas: Mapping[str, str], slips: Mapping[int, int] | None = None) -> str:
    """The last sum of each step, without the operation, and the answer."""
    result, lines = _worked(row.reference["tree"], formulas, slips)
    return "\n".join([*("=".join(line.split("=")[-2:]) for line in lines), in_style(row, str(result))])


def _quick(row: Row, rng: Random) -> str:
    """The right answer after bare sums."""
    del rng
    return _bare(row, row.reference["operators"])


def _slip(row: Row, rng: Random) -> str:
    """The steps with an accidental mistake in one, which the others and the answer go on from."""
    while True:
        by = -1 if rng.random() < OFF_BY_ONE else rng.choice((-10, -2, 1, 2, 10))
        slips = {rng.randrange(row.difficulty or 1): by}
        result, lines = _worked(row.reference["tree"], row.reference["operators"], slips)
        if _small(lines, 3 * LARGEST):
            return "\n".join([*lines, in_style(row, str(result))])


def _wrong_rule(row: Row, rng: Random) -> str:
    """Bare sums with plain addition in the place of the operators; where that comes out right, one more."""
    del rng
    addition = dict.fromkeys(row.reference["operators"], "a+b")
    right = _worked(row.reference["tree"], addition)[0] == int(row.reference["answer"])
    return _bare(row, addition, {(row.difficulty or 1) - 1: 1} if right else None)


demonstration = Habits(
    worked=0.4,
    worked_right=0.25,
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
