r"""A name, as zebra puzzles ask for: `\boxed{Alice}`, compared without regard to case.

reference: `{"target": "alice", "style": "boxed" | "tag"}`. The box holds the name alone: no alternatives, no sentence.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.verifiers import _extract


def _plain(text: str) -> str:
    return " ".join(_extract.without_commands(text).strip(" .\"'").casefold().split())


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the name is the right one.

    Raises:
        BadInput: the reference has no target.
    """
    start = time.perf_counter()
    target = _plain(str(reference.get("target") or ""))
    if not target:
        raise BadInput("the row has no 'target'; expected a name")
    style = reference.get("style", "boxed")
    found = _extract.marked(completion, style)
    if found is None and style != "tag":
        whole = _extract.outside_reasoning(completion).strip()
        found = whole if len(whole.split()) == 1 else None
    seconds = time.perf_counter() - start
    if found is None or not found.strip():
        return Verdict.of(False, "no name found", seconds=seconds, format=0.0)
    correct = _plain(found) == target
    return Verdict.of(correct, "the name" if correct else "another name", seconds=seconds, format=1.0)
