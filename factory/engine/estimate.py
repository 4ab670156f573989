"""What a job is expected to cost, in CPU-seconds, on the embedded base; for `--dry-run` and for the order of work.

The constants were read off finished cards on two 2.5 GHz cores; for a real base see `factory.engine.footprint`.
"""

from __future__ import annotations

from typing import Any

from factory.benchmarks._benchmark import CHOICES, GENERATE
from factory.core.recipes import AdapterRecipe, EmbeddedRecipe
from factory.core.study import WeightSearch

WARMUP_SECONDS_PER_DEMONSTRATION = 2.4e-3
TRAIN_SECONDS_PER_COMPLETION = 6e-3
SCORE_SECONDS_PER_COMPLETION = 2e-3
SCORED_TOKENS = 40
SCORE_SECONDS_PER_EXAMPLE = 0.1
CHOOSE_SECONDS_PER_ITEM = 0.03
IMPORTS_SECONDS = 8.0
GATE_SECONDS = 2.0
REDRAWING = ("dapo", "mt_grpo")
ONE_EACH = ("sft", "rejection", "distil")


def base(recipe: EmbeddedRecipe) -> float:
    """Of the warm-up."""
    return recipe.steps * recipe.batch_size * WARMUP_SECONDS_PER_DEMONSTRATION


def adapter(recipe: AdapterRecipe) -> float:
    """Of a training."""
    return max(generated(recipe), trained(recipe)) * TRAIN_SECONDS_PER_COMPLETION


def trained(recipe: AdapterRecipe) -> int:
    """Completions that the steps of a training are taken on."""
    return recipe.max_steps * recipe.prompts_per_step * (1 if recipe.strategy in ONE_EACH else recipe.num_generations)


def generated(recipe: AdapterRecipe) -> float:
    """Completions sampled in a training: where a strategy draws again, as many as its first round draws."""
    if recipe.strategy in ("sft", "distil"):
        return 0 if recipe.strategy == "sft" else trained(recipe)
    oversample = float(recipe.strategy_options.get("oversample", 3.0 if recipe.strategy in REDRAWING else 1.0))
    return recipe.max_steps * recipe.prompts_per_step * recipe.num_generations * max(1.0, oversample)


def cell(decoding: dict[str, Any], size: int | None, method: str = GENERATE) -> float:
    """Of scoring one variant on a benchmark of `size` items, 500 where that is not known.

    Worked examples make prompts so long that reading them is most of the work; so it is where choices are compared.
    """
    items = min(size or 500, int(decoding["limit"] or size or 500))
    if method == CHOICES:
        return items * (CHOOSE_SECONDS_PER_ITEM + (decoding["few_shot"] or 0) * SCORE_SECONDS_PER_EXAMPLE)
    each = int(decoding["samples"]) + int(decoding["greedy"])
    written = each * SCORE_SECONDS_PER_COMPLETION * max(1.0, decoding["max_new_tokens"] / SCORED_TOKENS)
    return float(items * (written + (decoding["few_shot"] or 0) * SCORE_SECONDS_PER_EXAMPLE))


def search(options: WeightSearch, tasks: int) -> float:
    """Of choosing a merge's weights."""
    return (
        (options.budget or len(options.candidates))
        * options.items
        * options.samples
        * tasks
        * SCORE_SECONDS_PER_COMPLETION
    )
