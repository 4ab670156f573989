"""An expression of given numbers that comes to a target, found by search in exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations

SMALL = 3
"""Up to so many numbers all values are listed; of more, one side is listed and the other is searched for the rest."""


def solved(numbers: list[int], target: int) -> str | None:
    """An expression that uses each number once and comes to the target, None if there is none.

    With + - * / and brackets over fractions and negative numbers; complete for any count, and quick up to 6 numbers.
    """
    return _Search(numbers).reach(tuple(range(len(numbers))), Fraction(target))


class _Search:
    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers
        self._listed: dict[tuple[int, ...], dict[Fraction, str]] = {}
        self._missed: set[tuple[tuple[int, ...], Fraction]] = set()

    def reach(self, places: tuple[int, ...], target: Fraction) -> str | None:
        """An expression of the numbers at some places."""
        if len(places) <= SMALL:
            return self._values(places).get(target)
        if (places, target) in self._missed:
            return None
        for few, rest in _partitions(places):
            for value, text in self._values(few).items():
                for wanted, form in _wanted(value, target):
                    found = self.reach(rest, wanted)
                    if found is not None:
                        return form.format(text, found)
        self._missed.add((places, target))
        return None

    def _values(self, places: tuple[int, ...]) -> dict[Fraction, str]:
        """All values of the numbers at up to three places, with an expression of each."""
        if places not in self._listed:
            if len(places) == 1:
                number = self._numbers[places[0]]
                self._listed[places] = {Fraction(number): str(number)}
            else:
                self._listed[places] = {
                    value: text
                    for few, rest in _partitions(places)
                    for a, left in self._values(few).items()
                    for b, right in self._values(rest).items()
                    for value, text in _combined(a, left, b, right)
                }
        return self._listed[places]


def _partitions(places: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Some places and the rest, the smaller part first, each pair of parts once."""
    for count in range(len(places) // 2, 0, -1):
        for few in combinations(places, count):
            if 2 * count < len(places) or few[0] == places[0]:
                yield few, tuple(place for place in places if place not in few)


def _combined(a: Fraction, left: str, b: Fraction, right: str) -> Iterator[tuple[Fraction, str]]:
    yield a + b, f"({left} + {right})"
    yield a - b, f"({left} - {right})"
    yield b - a, f"({right} - {left})"
    yield a * b, f"({left} * {right})"
    if b:
        yield a / b, f"({left} / {right})"
    if a:
        yield b / a, f"({right} / {left})"


def _wanted(value: Fraction, target: Fraction) -> Iterator[tuple[Fraction, str]]:
    """What the other side must come to, for each way to join it with a side that comes to a value."""
    yield target - value, "({0} + {1})"
    yield value - target, "({0} - {1})"
    yield target + value, "({1} - {0})"
    if value:
        yield target / value, "({0} * {1})"
        yield target * value, "({1} / {0})"
        if target:
            yield value / target, "({0} / {1})"
    elif not target:
        yield Fraction(1), "({0} * {1})"
