"""Tasks one after the other, an equal part of the steps each, in the recipe's order (MT-GRPO's SEQ baselines)."""

from __future__ import annotations

from factory.core.recipes import AdapterRecipe
from factory.training.schedule import OneAfterAnother
from factory.training.strategy import SamplingOptions, Sizes, Strategy, options_of, selection_of, takes_no_weights
from factory.training.weighting import Fixed


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """One task a part of the steps.

    Raises:
        BadInput: weights, or options that make no sense.
    """
    del sizes
    takes_no_weights(recipe)
    options = options_of(SamplingOptions, recipe)
    shares = dict.fromkeys(recipe.tasks, 1 / len(recipe.tasks))
    return Strategy(Fixed(shares), selection_of(options), OneAfterAnother(recipe.tasks, recipe.max_steps))
