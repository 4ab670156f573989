"""Difficulties that rise with the steps, task by task: equal shares of the tasks, the hard rows later.

For tasks whose rows have a difficulty; the others take part whole, from the start.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from factory.core.errors import BadInput
from factory.core.recipes import AdapterRecipe
from factory.training.schedule import Rising
from factory.training.strategy import SamplingOptions, Sizes, Strategy, given_shares, options_of, selection_of
from factory.training.weighting import Fixed


class Options(SamplingOptions):
    """Attributes: over: share of the steps after which all is open. window: difficulties open at a time, None: all."""

    over: Annotated[float, Field(gt=0, le=1)] = 0.8
    window: Annotated[int, Field(ge=1)] | None = None


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """Rising difficulties, equal shares or those of `task_weights`.

    Raises:
        BadInput: no task has rows of different difficulty, or options that make no sense.
    """
    options = options_of(Options, recipe)
    levels = {}
    for task in recipe.tasks:
        known = sorted(level for level in sizes[task] if level is not None)
        if len(known) > 1:
            levels[task] = (known[0], known[-1])
    if not levels:
        raise BadInput(
            f"strategy 'curriculum': no rows of {', '.join(recipe.tasks)} differ in difficulty; use 'joint' or 'single'"
        )
    schedule = Rising(recipe.tasks, levels, recipe.max_steps, options.over, options.window)
    return Strategy(Fixed(given_shares(recipe.tasks, recipe.task_weights)), selection_of(options), schedule)
