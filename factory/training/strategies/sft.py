"""Supervised fine-tuning: the model imitates gold answers, or the demonstrations of a file, verified before it starts.

A step is taken on `prompts_per_step` demonstrations; `num_generations`, `rewards` and `temperature` are of no account.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from factory.core.recipes import AdapterRecipe, StrategyOptions
from factory.training.lesson import Taught, Work
from factory.training.strategy import Sizes, Strategy, given_shares, options_of, step_divides
from factory.training.supervised import imitated
from factory.training.weighting import Fixed


class Options(StrategyOptions):
    """What to imitate.

    Attributes:
        answers: gold answers as the task writes them, or `bare`: their last line, where the answer stands.
        demonstrations: JSONL, `{"completion", "id" or "prompt"}` for a training row each; None for the gold answers.
        drop_unverified: leave out what the task's verifier does not accept, instead of refusing it.
    """

    answers: Literal["worked", "bare"] = "worked"
    demonstrations: str | None = None
    drop_unverified: bool = False


@dataclass(frozen=True)
class Sft:
    """Imitation of what is given."""

    options: Options

    def teach(self, work: Work) -> Taught:
        """See `Lesson`."""
        from factory.training.demonstrations import from_file, gold_answers, steps_of, verified

        bare = self.options.answers == "bare"
        drop, file = self.options.drop_unverified, self.options.demonstrations
        given = from_file(Path(file), work.pools) if file else gold_answers(work.pools, bare=bare)
        if drop or file:
            given, refused = verified(given, work.scorer, drop=drop)
            steps, seen = steps_of(work, given), len(given) + sum(refused.values())
        else:
            # A task may have a hundred thousand rows: those that are used are looked at.
            steps, refused = steps_of(work, given), {}
            needed = list(dict.fromkeys(one for step in steps for one in step))
            verified(needed, work.scorer, drop=False)
            seen = len(needed)
        return imitated(work, steps, {"verified": seen}, {"demonstrations": {"refused": refused}})


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """Shares as in `joint`.

    Raises:
        UnknownName, BadInput: weights that make no sense, or options.
    """
    del sizes
    options = options_of(Options, recipe)
    step_divides(recipe)
    return Strategy(Fixed(given_shares(recipe.tasks, recipe.task_weights)), lesson=Sft(options))
