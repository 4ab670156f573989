"""Who samples a training's completions: transformers here, or vLLM by TRL's own options, colocated or a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from factory.core.errors import BadInput

CORRECTION = "vllm_importance_sampling_correction"


def check_sampler(options: Mapping[str, Any], where: str) -> None:
    """Refuse a sampler that is not here or cannot be used, by a recipe's `trl` options.

    Raises:
        BadInput: what is asked for, and what to do.
    """
    if options.get("use_transformers_continuous_batching"):
        raise BadInput(f"{where}: trl.use_transformers_continuous_batching is not supported; leave it out")
    if not options.get("use_vllm"):
        return
    if find_spec("vllm") is None:
        raise BadInput(
            f"{where}: trl.use_vllm asks for vLLM, not installed here; run pip install 'trl[vllm]' on a machine "
            "with a GPU, or leave it out: completions are then sampled by transformers"
        )
    if options.get(CORRECTION):
        raise BadInput(f"{where}: trl.{CORRECTION} needs vLLM's log-probabilities, which are not kept; leave it out")


def sample_by_vllm(trainer: Any, prompts: Sequence[list[int]]) -> list[list[list[int]]]:
    """Groups of completions from the trainer's own vLLM, to which TRL has sent the weights of this step.

    Returns:
        For each prompt its `num_generations` completions' token ids.
    """
    group = trainer.num_generations
    _, completions, _, _ = trainer.vllm_generation.generate(
        prompts=[prompt for prompt in prompts for _ in range(group)], images=None, num_generations=group
    )
    return [[list(ids) for ids in completions[start : start + group]] for start in range(0, len(completions), group)]
