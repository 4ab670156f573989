"""One task: its rows in a shuffled order, all of them before any comes again."""

from __future__ import annotations

from factory.core.errors import BadInput
from factory.core.recipes import AdapterRecipe, StrategyOptions
from factory.training.strategy import Sizes, Strategy, options_of
from factory.training.weighting import Fixed


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """The task has every step.

    Raises:
        BadInput: more than one task, weights, or options.
    """
    del sizes
    options_of(StrategyOptions, recipe)
    if len(recipe.tasks) != 1:
        named = ", ".join(recipe.tasks)
        raise BadInput(f"strategy 'single' trains on one task, got {len(recipe.tasks)}: {named}; use 'joint'")
    if recipe.task_weights:
        raise BadInput("strategy 'single' takes no task_weights; leave them out or use 'joint'")
    return Strategy(Fixed({recipe.tasks[0]: 1.0}))
