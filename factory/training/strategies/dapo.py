"""DAPO's dynamic sampling (arXiv 2503.14476): equal shares, drawn until enough groups are informative, in any mix.

Its asymmetric clip and token-level loss are TRL's options: `trl: {epsilon_high: 0.28, loss_type: dapo}`.
"""

from __future__ import annotations

from typing import Literal

from factory.core.recipes import AdapterRecipe
from factory.training.strategy import SamplingOptions, Sizes, Strategy, given_shares, options_of, selection_of
from factory.training.weighting import Fixed


class Options(SamplingOptions):
    """See `SamplingOptions`; sampling is always `refill`."""

    sampling: Literal["refill"] = "refill"


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """Equal shares, or those of `task_weights`, of what is drawn; what survives the filter has its own.

    Raises:
        UnknownName, BadInput: weights or options that make no sense.
    """
    del sizes
    options = options_of(Options, recipe)
    return Strategy(Fixed(given_shares(recipe.tasks, recipe.task_weights)), selection_of(options))
