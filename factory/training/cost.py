"""What a training cost, in the same words for every strategy, so that they can be compared at matched cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from factory.core.cost_words import PARTS


def cost_of(lines: Sequence[Mapping[str, Any]], before: Mapping[str, Any]) -> dict[str, Any]:
    """A training's cost.

    Args:
        lines: of the metrics file.
        before: what was spent before the first step, in the same words.

    Returns:
        `completions` and `tokens` sampled, `trained_tokens` (of completions, that a gradient was taken of), `verified`
        (completions judged) and wall `seconds` by part.
    """
    tasks = [task for line in lines for task in line["tasks"].values()]
    spent = before.get("seconds", {})
    return {
        "completions": sum(task["completions"] for task in tasks) + before.get("completions", 0),
        "tokens": round(sum(task["completions"] * task["length"] for task in tasks)) + before.get("tokens", 0),
        "trained_tokens": round(sum(map(_trained, tasks))),
        "verified": sum(task["completions"] for task in tasks if task["reward"] is not None)
        + before.get("verified", 0),
        "seconds": {
            part: round(sum(line["seconds"][part] for line in lines) + spent.get(part, 0.0), 2) for part in PARTS
        },
    }


def _trained(task: Mapping[str, Any]) -> float:
    """Tokens of a task's kept groups; of all its completions, by their mean length, where GRPO wrote the line."""
    if "trained_tokens" in task:
        return float(task["trained_tokens"])
    return float(task["kept"] * task["completions"] / max(1, task["prompts"]) * task["length"])
