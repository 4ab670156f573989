"""Several tasks in every step, in fixed shares: the uniform (or weighted) multi-task baseline."""

from __future__ import annotations

from factory.core.recipes import AdapterRecipe, StrategyOptions
from factory.training.strategy import Sizes, Strategy, given_shares, options_of
from factory.training.weighting import Fixed


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """Equal shares, or those of `task_weights`.

    Raises:
        UnknownName, BadInput: weights that make no sense, or options.
    """
    del sizes
    options_of(StrategyOptions, recipe)
    return Strategy(Fixed(given_shares(recipe.tasks, recipe.task_weights)))
