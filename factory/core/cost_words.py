"""What stands under `cost` on a card, in words: the same for every way of training, wherever it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COUNTS = {
    "completions": "completions sampled",
    "tokens": "tokens sampled",
    "trained_tokens": "tokens trained",
    "verified": "completions verified",
}
PARTS = ("generation", "scoring", "update")
CPU = "CPU-seconds"
WORDS = {**COUNTS, "cpu_seconds": CPU, "wall_seconds": "wall seconds", "peak_gib": "peak GiB"}


def in_words(cost: Mapping[str, Any]) -> dict[str, Any]:
    """A card's cost with each name in words; the seconds by part stand each for itself."""
    told = {WORDS.get(name, name.replace("_", " ")): value for name, value in cost.items() if name != "seconds"}
    return told | {f"seconds of {part}": spent for part, spent in (cost.get("seconds") or {}).items()}
