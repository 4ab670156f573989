"""What the rows of known datasets hold, field by field; a row that holds anything else is refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from factory.core.errors import BadInput

LONGEST_SHOWN = 60


class Field(NamedTuple):
    """What a field should be: `fits` says whether a value is, `expected` says it in words."""

    fits: Callable[[Any], bool]
    expected: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().removeprefix("-").isdecimal() and value.isascii()
    return isinstance(value, int) and not isinstance(value, bool)


def _all(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(fits, value))


TEXT = Field(_is_text, "a text")
NAME = Field(lambda value: isinstance(value, str) and value.isidentifier(), "a Python name")
ANSWER = Field(lambda value: _is_text(value) or _is_number(value), "a text or a number")
WHOLE = Field(_is_whole, "a whole number")
TESTS = Field(lambda value: _all(value, _is_text), "a list of texts, each an assert")
CODE = Field(lambda value: value is None or isinstance(value, str), "a text")
IMPORTS = Field(lambda value: value is None or value == [] or _all(value, lambda one: isinstance(one, str)),
                "a list of texts")  # fmt: skip
NUMBERS = Field(
    lambda value: _all(value.split(",") if isinstance(value, str) else value, _is_whole),
    "whole numbers with commas between them, such as '8,73,96'",
)
CELLS = Field(lambda value: _is_text(value) or _all(value, _is_whole), "a row of digits, such as '0 0 3 3'")

FIELDS: dict[str, dict[str, Field]] = {
    "arc_1d": {"target": CELLS},
    "countdown": {"numbers": NUMBERS, "target": WHOLE},
    "gsm8k": {"answer": ANSWER},
    "humaneval": {"prompt": TEXT, "test": TEXT, "entry_point": NAME},
    "math": {"answer": ANSWER},
    "mbpp": {"test_list": TESTS},
    "spider": {"db_id": TEXT, "query": TEXT},
    "zebra": {"target": TEXT},
}
"""The fields that a check needs; the puzzles' stand inside `ground_truth`."""

MAY_HOLD: dict[str, dict[str, Field]] = {
    "humaneval": {"canonical_solution": CODE},
    "mbpp": {"test_setup_code": CODE, "test_imports": IMPORTS, "code": CODE},
}
"""Fields that change a check if they are there."""

PUZZLES = ("arc_1d", "countdown", "zebra")


def checked(name: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a dataset's row that holds its fields.

    Raises:
        BadInput: a field is missing or is not what it should be; the text names it.
    """
    if name in PUZZLES:
        if "ground_truth" not in row:
            raise BadInput(f"the row lacks ground_truth; a {name} row has ground_truth")
        row = row["ground_truth"]
        if not isinstance(row, Mapping):
            raise BadInput(f"'ground_truth' should be an object, got {type(row).__name__}")
    fields = FIELDS[name]
    missing = [field for field in fields if row.get(field) in (None, "", [])]
    if missing:
        where = "ground_truth" if name in PUZZLES else "row"
        raise BadInput(f"the {where} lacks {', '.join(missing)}; a {name} {where} has {', '.join(fields)}")
    for field, wanted in {**fields, **MAY_HOLD.get(name, {})}.items():
        if field in row and not wanted.fits(row[field]):
            shown = repr(row[field])
            shown = shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."
            raise BadInput(f"'{field}' should be {wanted.expected}, got {shown}")
    return row
