"""The one door to TRL: a recipe becomes a `GRPOTrainer`, which does the training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json
from factory.core.errors import BadInput
from factory.core.recipes import AdapterRecipe
from factory.training import ranks
from factory.training.checkpoints import newest
from factory.training.filler import Filler
from factory.training.improvement import Improvement
from factory.training.lean import lean
from factory.training.lesson import Work
from factory.training.lora import lora_config, settle
from factory.training.metrics import MetricsFile
from factory.training.preflight import check_memory, check_room
from factory.training.samplers import CORRECTION, check_sampler, sample_by_vllm
from factory.training.stop import diverged
from factory.training.watch import STATE, watcher

OWN_OPTIONS = frozenset(
    [
        "output_dir",
        "seed",
        "data_seed",
        "max_steps",
        "num_generations",
        "learning_rate",
        "temperature",
        "beta",
        "max_completion_length",
        "save_steps",
        "save_strategy",
        "reward_weights",
        "report_to",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "generation_batch_size",
        "steps_per_generation",
        "num_iterations",
        "shuffle_dataset",
    ]
)
PLACEHOLDER = "The strategy draws the prompts."


def grpo_options(recipe: AdapterRecipe, output: Path | str, seed: int) -> dict[str, Any]:
    """The options of `GRPOConfig` for a recipe on this device.

    Raises:
        BadInput: `trl` sets an option that has its own recipe field, or asks for another sampler.
    """
    check_sampler(recipe.trl, "recipe")
    if recipe.trl.get("use_vllm") and recipe.trl.get("vllm_mode") == "server" and ranks.size() > 1:
        raise BadInput("trl.vllm_mode 'server' with several processes is not supported; take 'colocate' or one process")
    completions = recipe.prompts_per_step * recipe.num_generations
    return {
        **shared_options(recipe, output, seed, completions),
        "num_generations": recipe.num_generations,
        "temperature": recipe.temperature,
        "beta": recipe.beta,
        "max_completion_length": recipe.max_completion_length,
        "reward_weights": list(recipe.rewards.values()),
        # The order of prompts is the strategy's.
        "shuffle_dataset": False,
        CORRECTION: False,
        **recipe.trl,
    }


def shared_options(recipe: AdapterRecipe, output: Path | str, seed: int, sequences: int) -> dict[str, Any]:
    """The options that all of TRL's trainers take, for a recipe on this device.

    Args:
        sequences: that an optimizer step is taken on.

    Raises:
        BadInput: `trl` sets an option that has its own recipe field.
    """
    import torch

    clash = sorted(OWN_OPTIONS & recipe.trl.keys())
    if clash:
        raise BadInput(f"trl: '{clash[0]}' is set by the recipe itself; use the recipe's own field")
    if recipe.prompts_per_step % ranks.size():
        raise BadInput(
            f"prompts_per_step {recipe.prompts_per_step} is not shared evenly by {ranks.size()} processes; "
            "give each as many whole groups as the others"
        )
    local = sequences // ranks.size()
    each = min(recipe.per_device_train_batch_size or local, local)
    if local % each:
        raise BadInput(f"per_device_train_batch_size {each} does not divide a process's {local} completions of a step")
    cpu = not torch.cuda.is_available()
    return {
        "output_dir": str(output),
        "seed": seed,
        "data_seed": seed,
        "max_steps": recipe.max_steps,
        "per_device_train_batch_size": each,
        "gradient_accumulation_steps": local // each,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "constant",
        "report_to": recipe.report_to or "none",
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        "disable_tqdm": True,
        # TRL's defaults are bf16 and gradient checkpointing: on a CPU they cost three times the time.
        **({"use_cpu": True, "bf16": False, "gradient_checkpointing": False, "optim": "adamw_torch"} if cpu else {}),
    }


def train(work: Work, filler: Filler) -> tuple[Any, str | None]:
    """Run GRPO to the recipe's last step, from the newest whole checkpoint of the job.

    Args:
        filler: where the steps' completions come from.

    Returns:
        The PEFT model, and why training ended early, None if it did not.

    Raises:
        BadInput: TRL or PEFT refuses an option of the recipe, or the checkpoint is of another one; see `stop_reason`.
        WorkFailed: the training diverged.
    """
    from datasets import Dataset
    from transformers import PrinterCallback
    from transformers.utils import logging
    from trl import GRPOConfig, GRPOTrainer

    from factory.models.chat import longest

    logging.set_verbosity_error()
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    recipe, tokenizer = work.recipe, work.tokenizer
    checkpoints = work.state / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    start = newest(checkpoints, work.of)
    metrics = MetricsFile(work.metrics_path, start[1] if start else 0)
    if start:
        filler.restore(read_json(start[0] / STATE))
    try:
        arguments = GRPOConfig(**grpo_options(recipe, checkpoints, work.seed))
        improvement = Improvement(
            tokenizer.pad_token_id,
            (arguments.epsilon, arguments.epsilon_high or arguments.epsilon),
            arguments.scale_rewards != "none",
            arguments.per_device_train_batch_size,
        )
        trainer = lean(GRPOTrainer)(
            model=work.model,
            reward_funcs=work.scorer.functions(),
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": [PLACEHOLDER] * (recipe.max_steps * recipe.prompts_per_step)}),
            processing_class=tokenizer,
            peft_config=lora_config(recipe.lora),
            rollout_func=filler,
            callbacks=[watcher(filler, metrics, recipe.stop, improvement, work.on_step, work.keep, work.of)],
        )
    except (TypeError, ValueError) as error:
        raise BadInput(f"the trainer refuses the recipe: {error}") from error
    settle(trainer.model, recipe.lora)
    trainer.remove_callback(PrinterCallback)
    prompt_tokens = filler.longest_prompt()
    check_room(longest(work.model, tokenizer), recipe, prompt_tokens)
    check_memory(trainer.model, recipe, prompt_tokens)
    try:
        trainer.train(resume_from_checkpoint=str(start[0]) if start else None)
    except RuntimeError as error:
        if "probability tensor contains" not in str(error):
            raise
        raise diverged(f"the model's logits are no numbers after step {len(metrics.lines)}") from error
    return trainer.model, metrics.stopped


def sample(trainer: Any, prompts: Sequence[list[int]]) -> list[list[list[int]]]:
    """Groups of completions from the trainer's model, with the trainer's sampling options.

    Returns:
        For each prompt its `num_generations` completions' token ids.
    """
    if trainer.use_vllm:
        return sample_by_vllm(trainer, prompts)
    from trl.models import unwrap_model_for_generation

    from factory.models.groups import sample_groups
    from factory.models.merged import merged

    options = trainer.args
    with unwrap_model_for_generation(
        trainer.model_wrapped, trainer.accelerator, gather_deepspeed3_params=options.ds3_gather_for_generation
    ) as model:
        training = model.training
        model.eval()
        try:
            with merged(model):
                return sample_groups(
                    model,
                    prompts,
                    group=trainer.num_generations,
                    max_new_tokens=options.max_completion_length,
                    end_ids=trainer.eos_token_ids,
                    pad_id=trainer.processing_class.pad_token_id,
                    temperature=options.temperature,
                    top_p=options.top_p,
                    top_k=options.top_k or 0,
                )
        finally:
            model.train(training)
