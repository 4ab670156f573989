"""SQL as text: its tokens, the first statement, DISTINCT taken out, spaced operators joined.

Standard library only: this runs inside the sandbox.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*(?:\]|\Z))
      | (?P<word>[^\W\d]\w*)
      | (?P<end>;)
      | (?P<space>\s+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_THIS_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)


def first_statement(text: str) -> str:
    """The first statement that is not empty, without comments and its semicolon."""
    parts: list[str] = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "end":
            if "".join(parts).strip():
                break
            parts = []
        else:
            parts.append(" " if match.lastgroup == "comment" else match.group())
    return "".join(parts).strip()


def first_word(statement: str) -> str:
    """The first word, in lower case."""
    match = re.match(r"\s*(\w+)", statement)
    return match[1].lower() if match else ""


def without_distinct(statement: str) -> str:
    """The statement without the keyword DISTINCT anywhere, as the official evaluator strips it by default."""
    return "".join(
        match.group()
        for match in _TOKEN.finditer(statement)
        if not (match.lastgroup == "word" and match.group().lower() == "distinct")
    )


def prepared(statement: str, *, keep_distinct: bool) -> str:
    """What is executed for a statement: `> =` joined to `>=`, CURDATE's year made 2020, DISTINCT kept or stripped."""
    for spaced, joined in (("> =", ">="), ("< =", "<="), ("! =", "!=")):
        statement = statement.replace(spaced, joined)
    statement = _THIS_YEAR.sub("2020", statement)
    return statement if keep_distinct else without_distinct(statement)


def is_ordered(gold: str) -> bool:
    """Whether the gold query says ORDER BY anywhere."""
    return re.search(r"(?i)\border\s+by\b", gold) is not None
