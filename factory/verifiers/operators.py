"""A computation with operators made up for the row: the final number, and the operations written on the way to it.

reference: `{"operators": {"⊕": "2*a + 3*b + 1"}, "tree": ["⊕", 3, ["⊕", 15, 14]], "answer": "107"?, "style": "boxed"}`.
A step is an operation with its result, `15 ⊕ 14 = 73` or `15 ⊕ 14 = 2*15 + 3*14 + 1 = 73`; it is right if its result,
and whatever stands between, is. Component `steps`: the tree's operations that are shown right, over all of them and
the false ones written. So to repeat a step, to write true ones that are not of the tree, or to guess at several
results gains nothing. `has_steps`: whether an operation of the tree is written at all, right or not. The verdict is of
the final number alone, so that right answers after wrong steps can be counted.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from factory.core.errors import BadInput
from factory.core.records import Share, Verdict
from factory.verifiers import _extract, numeric
from factory.verifiers._arithmetic import NotArithmetic, computed, spelled

Tree = int | Sequence[Any]
"""A number, or `[symbol, left tree, right tree]`."""

COMPONENTS = ("format", "has_steps", "steps")
SHARES = {
    "has_steps": Share("has_steps"),
    "step_accuracy": Share("steps", given="has_steps"),
    "faithful_when_correct": Share("steps", given="correct"),
}
"""How faithful the written work is. A right answer with no step has nothing faithful in it and counts as 0."""

MOST_STEPS = 1000
_LATEX = {"oplus": "⊕", "ominus": "⊖", "otimes": "⊗", "oslash": "⊘", "odot": "⊙", "diamond": "⋄", "star": "⋆"}
_FACTOR = r"(?:\d{1,9}|[ab](?:\^2)?)"
_PRODUCT = rf"{_FACTOR}(?:\*{_FACTOR})*"
_NUMBER = r"[( ]{0,4}-?\d{1,30}[) ]{0,4}"
_TERM = r"[( ]{0,4}-?[( ]{0,4}-?\d{1,30}(?:\^2)?\)?(?:\^2)?\){0,4}"


class Operation(NamedTuple):
    """One operation on numbers."""

    left: int
    symbol: str
    right: int


@lru_cache(maxsize=4096)
def _terms(formula: str) -> tuple[tuple[int, int, int], ...]:
    """A formula as a sum of terms: factor, power of a, power of b.

    Raises:
        NotArithmetic: it is no sum of products of numbers, `a`, `b` and their squares.
    """
    plain = formula.replace(" ", "")
    if not re.fullmatch(rf"-?{_PRODUCT}(?:[-+]{_PRODUCT})*", plain):
        raise NotArithmetic(f"{formula[:80]!r} is no sum of products of numbers, a, b, a^2 and b^2")
    terms = []
    for sign, product in re.findall(rf"([-+]?)({_PRODUCT})", plain):
        factors = product.split("*")
        powers = [sum(2 if "^" in one else 1 for one in factors if one[0] == letter) for letter in "ab"]
        numbers = math.prod(int(one) for one in factors if one.isdigit())
        terms.append((-numbers if sign == "-" else numbers, powers[0], powers[1]))
    return tuple(terms)


def applied(formula: str, a: int, b: int) -> int:
    """What a formula comes to.

    Raises:
        NotArithmetic: it is no sum of products of numbers, `a`, `b` and their squares.
    """
    return sum(int(factor * a**power_a * b**power_b) for factor, power_a, power_b in _terms(formula))


def evaluated(tree: Tree, operators: Mapping[str, str]) -> tuple[int, list[tuple[Operation, int]]]:
    """What a tree comes to, and its operations with their results, from the inside out.

    Raises:
        KeyError, NotArithmetic, TypeError, ValueError: it is no tree of these operators.
    """
    if isinstance(tree, int):
        return tree, []
    symbol, left, right = tree
    a, before = evaluated(left, operators)
    b, between = evaluated(right, operators)
    value = applied(operators[symbol], a, b)
    return value, [*before, *between, (Operation(a, symbol, b), value)]


@lru_cache(maxsize=64)
def _pattern(symbols: str) -> re.Pattern[str]:
    sign = f"[{re.escape(symbols)}]"
    expression = rf"{_TERM}(?: ?[-+*] ?{_TERM}){{0,12}}"
    return re.compile(
        rf"(?<![\d.)])({_NUMBER})({sign})({_NUMBER})((?:= ?{expression} ?){{1,6}})(?!\d|\.\d| ?(?:[\^=*/+(-]|{sign}))"
    )


def written(text: str, operators: Mapping[str, str]) -> list[tuple[Operation, int, bool]]:
    """The operations that a text gives results for: each with the result, and whether what leads to it agrees."""
    for name, sign in _LATEX.items():
        text = text.replace(f"\\{name}", sign)
    text = spelled(text[-_extract.LONGEST :]).replace("²", "^2").replace("**2", "^2").replace("**", "")
    text = re.sub(r"[^\S\n]+", " ", text)
    found = []
    for line in text.split("\n"):
        if "=" not in line:
            continue
        for left, symbol, right, chain in _pattern("".join(operators)).findall(line):
            *between, last = (part.strip() for part in chain.split("=")[1:])
            if re.fullmatch(_NUMBER, last):
                value = _number(last)
                agrees = all(_comes_to(part, value) for part in between)
                found.append((Operation(_number(left), symbol, _number(right)), value, agrees))
            if len(found) >= MOST_STEPS:
                return found
    return found


def _number(text: str) -> int:
    return int(text.strip("() "))


def _comes_to(text: str, value: int) -> bool:
    try:
        return computed(re.sub(r"(-?\d+|\(-?\d+\))\^2", r"(\1)*(\1)", text)).value == value
    except NotArithmetic:
        return False


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the final number is right; which steps are.

    Raises:
        BadInput: the tree cannot be computed, or the given answer is not its value.
    """
    start = time.perf_counter()
    try:
        operators = reference["operators"]
        result, operations = evaluated(reference["tree"], operators)
    except (KeyError, NotArithmetic, TypeError, ValueError) as error:
        raise BadInput(f"the row's 'tree' cannot be computed with its 'operators': {error!r}") from error
    if str(reference.get("answer", result)) != str(result):
        raise BadInput(f"the gold answer {reference['answer']!r} is not the value of the row's tree, {result}")
    style = reference.get("style", "boxed")
    verdict = numeric.verify(completion, {"answer": str(result), "style": style})
    known = dict(operations)
    right, wrong, reason = set(), set(), ""
    claims = written(_extract.outside_reasoning(completion), operators)
    for operation, value, agrees in claims:
        if agrees and value == applied(operators[operation.symbol], operation.left, operation.right):
            right.add(operation)
        else:
            wrong.add((operation, value))
            reason = reason or f", wrong step {operation.left} {operation.symbol} {operation.right} = {value}"
    shown = (right & known.keys()) - {operation for operation, _ in wrong}
    components = {
        "format": verdict.components["format"],
        "has_steps": float(any(operation in known for operation, *_ in claims)),
        "steps": len(shown) / (len(known) + len(wrong)),
    }
    seconds = time.perf_counter() - start
    return Verdict.of(bool(verdict.correct), verdict.reason + reason, seconds=seconds, **components)
