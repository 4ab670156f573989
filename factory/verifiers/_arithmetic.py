"""Arithmetic expressions, read by a parser of our own and computed exactly: + - * / and brackets, nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

LONGEST = 600
DEEPEST = 60
_TOKEN = re.compile(r"\s*(?:([0-9]+)|([-+*/()=]))")
_SPELLINGS = (
    (r"\times", "*"), (r"\cdot", "*"), (r"\div", "/"), ("×", "*"), ("·", "*"), ("÷", "/"), ("−", "-"), ("–", "-"),
    (r"\left", ""), (r"\right", ""), ("[", "("), ("]", ")"), ("{", "("), ("}", ")"), ("$", ""), (r"\,", ""),
    (r"\ ", ""),
)  # fmt: skip
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")


class NotArithmetic(ValueError):
    """The text is no such expression, or divides by zero; the text says where."""


@dataclass(frozen=True)
class Step:
    """One operation of an expression, `left operator right = value`."""

    left: Fraction
    operator: str
    right: Fraction
    value: Fraction


@dataclass
class Expression:
    """What an expression comes to, the numbers written in it, and its operations from the inside out."""

    value: Fraction = Fraction(0)
    numbers: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def spelled(text: str) -> str:
    """The expression in plain signs: LaTeX and typographic operators replaced."""
    while True:
        plain = _FRACTION.sub(r"((\1)/(\2))", text)
        if plain == text:
            break
        text = plain
    for written, sign in _SPELLINGS:
        text = text.replace(written, sign)
    return text.strip()


def computed(text: str) -> Expression:
    """Read and compute an expression.

    Raises:
        NotArithmetic: it is none, is too long or too deep, or divides by zero.
    """
    return _Parser(text).whole()


class _Parser:
    """Recursive descent: sum of products of factors; a factor may have a minus sign."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise NotArithmetic(f"longer than {LONGEST} characters")
        self._tokens: list[str] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match[2] == "=":
                raise NotArithmetic(f"unexpected {text[at:].lstrip()[:1]!r}")
            if match[1] and len(match[1]) > 1 and match[1].startswith("0"):
                raise NotArithmetic("a number starts with 0")
            self._tokens.append(match[1] or match[2])
            at = match.end()
        self._at, self._depth = 0, 0
        self._result = Expression()

    def whole(self) -> Expression:
        self._result.value = self._sum()
        if self._at < len(self._tokens):
            raise NotArithmetic(f"unexpected {self._tokens[self._at]!r}")
        return self._result

    def _next(self, *wanted: str) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at] in wanted:
            self._at += 1
            return self._tokens[self._at - 1]
        return ""

    def _apply(self, left: Fraction, operator: str, right: Fraction) -> Fraction:
        if operator == "/" and right == 0:
            raise NotArithmetic("a division by zero")
        value = {"+": left + right, "-": left - right, "*": left * right}.get(operator)
        value = left / right if value is None else value
        self._result.steps.append(Step(left, operator, right, value))
        return value

    def _sum(self) -> Fraction:
        value = self._product()
        while operator := self._next("+", "-"):
            value = self._apply(value, operator, self._product())
        return value

    def _product(self) -> Fraction:
        value = self._factor()
        while operator := self._next("*", "/"):
            value = self._apply(value, operator, self._factor())
        return value

    def _factor(self) -> Fraction:
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotArithmetic("too many brackets")
        if self._next("-"):
            value = -self._factor()
        elif self._next("("):
            value = self._sum()
            if not self._next(")"):
                raise NotArithmetic("a bracket is not closed")
        elif self._at < len(self._tokens) and self._tokens[self._at].isdigit():
            self._result.numbers.append(int(self._tokens[self._at]))
            value = Fraction(self._result.numbers[-1])
            self._at += 1
        else:
            found = self._tokens[self._at] if self._at < len(self._tokens) else "the end"
            raise NotArithmetic(f"a number is missing before {found!r}")
        self._depth -= 1
        return value
