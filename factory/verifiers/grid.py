r"""A row of cells, as ARC's one-dimensional puzzles ask for: `\boxed{0 0 3 3}`.

reference: `{"target": "0 0 3 3", "style": "boxed" | "tag"}`. Cells are single digits, separated by blanks or commas, in
brackets or not, or by nothing at all. Anything else in the box is refused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.verifiers import _extract

LONGEST = 20_000


def cells(text: str) -> list[int] | None:
    """The cells of a row, None if the text is no row."""
    text = re.sub(r"\\(?:quad|[,;: ])|[\[\](),]", " ", _extract.without_commands(text)[:LONGEST])
    parts = text.split()
    if len(parts) == 1:
        parts = list(parts[0])
    return [int(part) for part in parts] if parts and all(re.fullmatch("[0-9]", part) for part in parts) else None


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether all cells are right. Component `cells`: the share of right ones in a row of the right length.

    Raises:
        BadInput: the target is no row of digits.
    """
    start = time.perf_counter()
    target = cells(str(reference.get("target", "")))
    if target is None:
        raise BadInput(f"the row's target is no row of digits: {str(reference.get('target'))[:80]!r}")
    style = reference.get("style", "boxed")
    found = _extract.marked(completion, style)
    if found is None and style != "tag":
        found = _extract.outside_reasoning(completion)
    row = cells(found) if found is not None else None
    seconds = time.perf_counter() - start
    if row is None:
        return Verdict.of(False, "no row of cells found", seconds=seconds, format=0.0, cells=0.0)
    right = sum(a == b for a, b in zip(row, target, strict=False)) if len(row) == len(target) else 0
    reason = "all cells right" if row == target else f"{right} of {len(target)} cells right"
    return Verdict.of(row == target, reason, seconds=seconds, format=1.0, cells=right / len(target))
