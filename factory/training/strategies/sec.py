"""SEC, the self-evolving curriculum (arXiv 2505.14970): a bandit over tasks that pays for advantage.

`sampling: all` is SEC-GRPO, `sampling: refill` SEC-DAPO, as MT-GRPO's baselines have them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from factory.core.recipes import AdapterRecipe
from factory.training.strategy import SamplingOptions, Sizes, Strategy, options_of, selection_of, takes_no_weights
from factory.training.weighting import Bandit


class Options(SamplingOptions):
    """Attributes: step: of the bandit's running mean. temperature: of the softmax over its values."""

    step: Annotated[float, Field(gt=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 0.2


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """Shares by the bandit.

    Raises:
        BadInput: weights, or options that make no sense.
    """
    del sizes
    takes_no_weights(recipe)
    options = options_of(Options, recipe)
    return Strategy(Bandit(recipe.tasks, options.step, options.temperature), selection_of(options))
