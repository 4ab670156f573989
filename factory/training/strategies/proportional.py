"""Several tasks in every step, each in proportion to its training rows, or to a power of them.

The power is the T5 mixing rate's 1 / temperature (Raffel et al. 2020, arXiv 1910.10683, 3.5.2): 1 is proportional, 0 is
uniform.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from factory.core.recipes import AdapterRecipe, StrategyOptions
from factory.training.strategy import Sizes, Strategy, options_of, takes_no_weights
from factory.training.weighting import Fixed


class Options(StrategyOptions):
    """Attributes: power: of the number of rows."""

    power: Annotated[float, Field(ge=0, le=1)] = 1.0


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """Shares in proportion to the rows.

    Raises:
        BadInput: weights, or options that make no sense.
    """
    options = options_of(Options, recipe)
    takes_no_weights(recipe)
    counts = {task: sum(sizes[task].values()) ** options.power for task in recipe.tasks}
    total = sum(counts.values())
    return Strategy(Fixed({task: count / total for task, count in counts.items()}))
