"""Multi-Task GRPO (arXiv 2602.05547): improvement-aware task weights and a ratio-preserving sampler.

Each can be switched off alone: `weights: uniform` leaves the sampler (the paper's GRPO_RPS), and `sampling: all` leaves
the weights (GRPO_IWU).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from factory.core.recipes import AdapterRecipe
from factory.training.strategy import SamplingOptions, Sizes, Strategy, options_of, selection_of, takes_no_weights
from factory.training.weighting import Fixed, ImprovementAware


class Options(SamplingOptions):
    """See `factory.training.weighting.ImprovementAware`; `weights: uniform` switches it off."""

    sampling: Literal["all", "refill", "ratio"] = "ratio"
    weights: Literal["improvement", "uniform"] = "improvement"
    lambda_: Annotated[float, Field(ge=0, alias="lambda")] = 0.25
    clip: Annotated[float, Field(gt=0)] = 0.1
    rule: Literal["paper", "code"] = "paper"
    improvement: Literal["surrogate", "accuracy"] = "surrogate"
    weight_rate: Annotated[float, Field(gt=0)] = 0.025
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """Weights and sampler as the options say.

    Raises:
        BadInput: weights, or options that make no sense.
    """
    del sizes
    takes_no_weights(recipe)
    options = options_of(Options, recipe)
    if options.weights == "uniform":
        return Strategy(Fixed(dict.fromkeys(recipe.tasks, 1 / len(recipe.tasks))), selection_of(options))
    weights = ImprovementAware(
        recipe.tasks,
        options.lambda_,
        options.clip,
        options.rule,
        options.improvement,
        options.weight_rate,
        options.weight_decay,
        recipe.learning_rate,
    )
    return Strategy(weights, selection_of(options))
