"""The letter of a multiple-choice answer: reference `{"answer": "B", "choices": ["A", "B", "C", "D"], "style": ...}`.

In an envelope (`boxed`, `tag`): the letter alone, or with what follows it (`B`, `(B)`, `B. iron`). `plain`: the
completion is that, or its last `answer is B` / `answer: B` counts. Several letters are refused. Labels may be digits
too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.verifiers import _extract

_LETTERS = tuple("ABCDE")


def letter_in(text: str, choices: tuple[str, ...]) -> str | None:
    """The one label that a short text is, or starts with; None for none or several."""
    text = _extract.without_commands(text).strip(" .")
    labels = "|".join(re.escape(choice) for choice in choices)
    whole = re.fullmatch(rf"(?i)\(?({labels})\)?", text)
    if whole:
        return whole[1].upper()
    start = re.match(rf"\(?({labels})(?:\)|[.:]|\)[.:])\s+(?=\S)", text)
    if not start:
        return None
    others = re.findall(rf"\b({labels})\b(?=[).:,]|\s*$|\s+(?:or|and)\b)", text[start.end() :])
    return None if others else start[1].upper()


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the letter is the right one.

    Raises:
        BadInput: the answer is not among the choices.
    """
    start = time.perf_counter()
    choices = tuple(str(choice).upper() for choice in reference.get("choices") or _LETTERS)
    gold = str(reference.get("answer", "")).strip().upper()
    if gold not in choices:
        raise BadInput(f"the gold answer {gold!r} is none of the choices {', '.join(choices)}")
    style = reference.get("style", "plain")
    found = _extract.marked(completion, style)
    letter = letter_in(found, choices) if found else None
    if letter is None and style == "plain" and found:
        labels = "|".join(re.escape(choice) for choice in choices)
        said = re.findall(
            rf"(?i:answer\s*(?:is|:)\s*)\(?\**({labels})\b(?!\s*(?:or|and)\b)", found[-_extract.LONGEST :]
        )
        letter = said[-1].upper() if said else None
    seconds = time.perf_counter() - start
    if letter is None:
        return Verdict.of(False, "no single choice found", seconds=seconds, format=0.0)
    return Verdict.of(letter == gold, "the choice" if letter == gold else "another choice", seconds=seconds, format=1.0)
