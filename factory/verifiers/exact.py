"""A text, compared exactly but for blanks.

reference: `{"answer": text, "style": "plain" | "tag" | "boxed", "fold": bool}`.

Runs of blanks count as one and those at the ends not at all; with `fold` the case does not matter either.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.verifiers import _extract


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the text is the expected one.

    Raises:
        BadInput: the reference has no answer.
    """
    start = time.perf_counter()
    gold = " ".join(str(reference.get("answer") or "").split())
    if not gold:
        raise BadInput("the row has no 'answer'; expected a text")
    found = _extract.marked(completion, reference.get("style", "plain"))
    if not found:
        return Verdict.of(False, "no answer found", seconds=time.perf_counter() - start, format=0.0)
    said = " ".join(found.split())
    correct = said.casefold() == gold.casefold() if reference.get("fold") else said == gold
    reason = "equal" if correct else "another text"
    return Verdict.of(correct, reason, seconds=time.perf_counter() - start, format=1.0)
