"""Supervised steps on demonstrations: what `sft` and `rejection` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from factory.training.demonstrations import Demonstration, sequence_of, task_entry, used
from factory.training.lesson import Taught, Work


def imitated(
    work: Work, steps: Sequence[Sequence[Demonstration]], before: Mapping[str, Any], notes: Mapping[str, Any]
) -> Taught:
    """Train on demonstrations that were verified.

    Args:
        steps: those of each step.
        before: what was spent on them.
        notes: for the card.

    Raises:
        BadInput: a demonstration is longer than the base reads, or TRL or PEFT refuses an option.
    """
    from factory.models.chat import longest
    from factory.training.trl_lessons import imitate

    limit = longest(work.model, work.tokenizer)
    known = {one: sequence_of(work, one, limit) for one in dict.fromkeys(one for step in steps for one in step)}

    def tasks_of(step: int, lengths: Sequence[int]) -> dict[str, Any]:
        del lengths  # nothing is written
        own: dict[str, list[int]] = {}
        for one in steps[step - 1]:
            own.setdefault(one.task, []).append(sum(label >= 0 for label in known[one]["labels"]))
        return {task: task_entry(len(lengths), sum(lengths)) for task, lengths in own.items()}

    model = imitate(work, [known[one] for step in steps for one in step], tasks_of)
    return Taught(model, None, used(steps), before, notes)
