"""One tree of errors; the text says what, where, got, expected and what to do next.

`BadInput` leaves the command line with exit code 2, `WorkFailed` with 1. Each class has a standard second base, so
that library users can catch `ValueError` or `LookupError` without knowing this module.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FactoryError(Exception):
    """Anything this project refuses or fails at, with a one-line text meant for a person."""

    exit_code = 1


class BadInput(FactoryError, ValueError):
    """What the user gave cannot be used: a value, a name, or the content of a named file."""

    exit_code = 2


class UnknownName(BadInput, LookupError):
    """A name that nothing answers to; the nearest known one is suggested, `none` is said where there are none."""

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "", none: str = "known: none") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}" if known else none
        super().__init__(f"{where + ': ' if where else ''}unknown {kind} '{name}'; {hint}")
        self.kind, self.name, self.known = kind, name, known


class CorruptFile(BadInput):
    """A file whose content is not what its format or its card says it is."""


class WorkFailed(FactoryError, RuntimeError):
    """The input was fine and the work did not succeed."""


class StoreError(WorkFailed, OSError):
    """The store folder cannot be read or written."""

    def __str__(self) -> str:  # OSError would print its args as a tuple
        return str(self.args[0]) if self.args else ""


class MissingLibrary(WorkFailed, ImportError):
    """An optional library or device that this work needs is not there."""


def one_line(error: BaseException) -> str:
    """The error's text on one line, for the terminal."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
