"""What a loss about 0 means in GRPO: people stop trainings that are well because of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOOKS_LIKE_NOTHING = 0.05


def loss_note(line: Mapping[str, Any]) -> str | None:
    """Why the loss of a step is about 0, in one sentence; None where it is not.

    Args:
        line: of the metrics file.
    """
    loss = line.get("loss")
    if loss is None or abs(loss) >= LOOKS_LIKE_NOTHING or "strategy" not in line:
        return None
    if not line["strategy"].get("informative"):
        return (
            "the loss is 0 because no group that was trained on had rewards that differ: there was nothing to learn "
            "from in this step"
        )
    return (
        "a loss about 0 is no fault: each batch has one update, so the ratio of probabilities is 1 and the loss is the "
        "mean advantage, which is 0 in every group but for unequal lengths; its gradient is not 0. Watch the rewards"
    )
