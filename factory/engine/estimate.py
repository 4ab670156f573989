"""What a job is expected to cost, in CPU-seconds, on the embedded base; for `--dry-run` and for the order of work.

The constants were read off finished cards on two 2.5 GHz cores; a real base costs in proportion to its parameters.
"""

from __future__ import annotations

from typing import Any

from factory.core.recipes import AdapterRecipe, EmbeddedRecipe
from factory.core.study import WeightSearch

WARMUP_SECONDS_PER_DEMONSTRATION = 2.4e-3
TRAIN_SECONDS_PER_COMPLETION = 6e-3
SCORE_SECONDS_PER_COMPLETION = 2e-3
IMPORTS_SECONDS = 8.0
GATE_SECONDS = 2.0


def base(recipe: EmbeddedRecipe) -> float:
    """Of the warm-up."""
    return recipe.steps * recipe.batch_size * WARMUP_SECONDS_PER_DEMONSTRATION


def adapter(recipe: AdapterRecipe) -> float:
    """Of GRPO."""
    completions = recipe.max_steps * recipe.prompts_per_step * recipe.num_generations
    return completions * TRAIN_SECONDS_PER_COMPLETION


def cell(decoding: dict[str, Any]) -> float:
    """Of scoring one variant on one benchmark; 500 items where there is no limit."""
    items, each = int(decoding["limit"] or 500), int(decoding["samples"]) + int(decoding["greedy"])
    return items * each * SCORE_SECONDS_PER_COMPLETION


def search(options: WeightSearch, tasks: int) -> float:
    """Of choosing a merge's weight."""
    return len(options.candidates) * options.items * options.samples * tasks * SCORE_SECONDS_PER_COMPLETION
