"""How long work says where it is: a function that takes a text and, where it is known, how much is done."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, float | None], None]


def silent(text: str, done: float | None = None) -> None:
    """A report that nobody reads."""
    del text, done
