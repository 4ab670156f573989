"""How the embedded base is made partly skilled: habits mixed into its demonstrations.

A base that reinforcement learning can mend must hold the right behaviour inside its distribution, for every prompt and
beside a dominant wrong one; independent noise would leave greedy decoding right. So each task is shown in two ways,
worked and quick, each right with its own share, and most of the wrong ones make the same mistake. The worked and
quick ways are shared by all embedded tasks on purpose: a part of the transfer between them is designed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from factory.core.records import Row
from factory.tasks._style import STYLES

BROKEN_ENVELOPE = 0.08

Write = Callable[[Row, Random], str]


def in_style(row: Row, answer: str) -> str:
    """An answer between the marks that the row asks for."""
    return STYLES[row.reference["style"]].answer.format(answer=answer)


def at_once(row: Row, rng: Random) -> str:
    """The right answer without its work: the last line of the gold completion."""
    del rng
    return row.gold.rpartition("\n")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """The mixture of completions that the base is shown for a task.

    Attributes:
        worked: share that writes the steps out first.
        worked_right: share of those that are right.
        quick_right: share right of the others, which answer at once.
        dominant: share of the wrong quick ones that make the task's dominant mistake; the rest slip.
        quick: writes the right answer without steps.
        slip: writes steps, or an answer, with an accidental mistake.
        wrong: writes the dominant mistake.
    """

    worked: float = 0.4
    worked_right: float = 0.85
    quick_right: float = 0.10
    dominant: float = 0.8
    quick: Write = at_once
    slip: Write
    wrong: Write

    def __call__(self, row: Row, rng: Random, *, clean: bool) -> str:
        """A demonstration for a row: the gold completion when `clean`, else a draw from the habits."""
        if clean:
            return row.gold
        if rng.random() < self.worked:
            text = row.gold if rng.random() < self.worked_right else self.slip(row, rng)
        elif rng.random() < self.quick_right:
            text = self.quick(row, rng)
        else:
            text = (self.wrong if rng.random() < self.dominant else self.slip)(row, rng)
        if rng.random() < BROKEN_ENVELOPE:
            text = text.replace("<answer>", "").replace("</answer>", "")
        return text
