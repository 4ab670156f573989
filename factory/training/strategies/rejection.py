"""Rejection sampling: the base writes, the verifier judges, and the model imitates what passed.

STaR's first round (Zelikman et al. 2022, arXiv 2203.14465), RFT (Yuan et al. 2023, arXiv 2308.01825). `num_generations`
completions of each of `prompts` rows are sampled before the first step; a step is taken on `prompts_per_step` of those
that passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from factory.core.recipes import AdapterRecipe, StrategyOptions
from factory.training.lesson import Taught, Work
from factory.training.strategy import Sizes, Strategy, given_shares, options_of, step_divides
from factory.training.supervised import imitated
from factory.training.weighting import Fixed


class Options(StrategyOptions):
    """What is sampled and what is kept of it.

    Attributes:
        prompts: rows that completions are sampled for, over all tasks; None for as many as a GRPO training of the same
            recipe draws, `max_steps * prompts_per_step`, so that both see the same number of completions.
        keep: different right completions of one row that are kept at most.
    """

    prompts: Annotated[int, Field(gt=0)] | None = None
    keep: Annotated[int, Field(gt=0)] = 4


@dataclass(frozen=True)
class Rejection:
    """Imitation of one's own right answers."""

    options: Options

    def teach(self, work: Work) -> Taught:
        """See `Lesson`."""
        from factory.training.demonstrations import steps_of
        from factory.training.sampled import sampled_right

        prompts = self.options.prompts or work.recipe.max_steps * work.recipe.prompts_per_step
        right, before, notes = sampled_right(work, prompts, self.options.keep)
        return imitated(work, steps_of(work, right), before, {"demonstrations": notes})


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """Shares as in `joint`.

    Raises:
        UnknownName, BadInput: weights that make no sense, or options.
    """
    del sizes
    options = options_of(Options, recipe)
    step_divides(recipe)
    return Strategy(Fixed(given_shares(recipe.tasks, recipe.task_weights)), lesson=Rejection(options))
