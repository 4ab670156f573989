"""The one door to TRL: a recipe becomes a `GRPOTrainer`, which does the training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.recipes import AdapterRecipe
from factory.core.records import Row
from factory.rewards import Pool, Scorer
from factory.training._plan import Plan
from factory.training.checkpoints import newest, seal
from factory.training.metrics import MetricsFile

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
        "shuffle_dataset",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "generation_batch_size",
        "steps_per_generation",
    ]
)


def grpo_options(recipe: AdapterRecipe, output: Path | str, seed: int) -> dict[str, Any]:
    """The options of `GRPOConfig` for a recipe on this device.

    Raises:
        BadInput: `trl` sets an option that has its own recipe field.
    """
    import torch

    clash = sorted(OWN_OPTIONS & recipe.trl.keys())
    if clash:
        raise BadInput(f"trl: '{clash[0]}' is set by the recipe itself; use the recipe's own field")
    completions = recipe.prompts_per_step * recipe.num_generations
    each = recipe.per_device_train_batch_size or completions
    cpu = not torch.cuda.is_available()
    return {
        "output_dir": str(output),
        "seed": seed,
        "data_seed": seed,
        "max_steps": recipe.max_steps,
        "num_generations": recipe.num_generations,
        "per_device_train_batch_size": each,
        "gradient_accumulation_steps": completions // each,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "constant",
        "temperature": recipe.temperature,
        "beta": recipe.beta,
        "max_completion_length": recipe.max_completion_length,
        "reward_weights": list(recipe.rewards.values()),
        "report_to": recipe.report_to or "none",
        # The order of prompts is the strategy's.
        "shuffle_dataset": False,
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        "disable_tqdm": True,
        # TRL's defaults are bf16 and gradient checkpointing: on a CPU they cost three times the time.
        **({"use_cpu": True, "bf16": False, "gradient_checkpointing": False, "optim": "adamw_torch"} if cpu else {}),
        **recipe.trl,
    }


def train(
    *,
    recipe: AdapterRecipe,
    model: Any,
    tokenizer: Any,
    pools: dict[str, Pool],
    plan: Plan,
    prompt: Callable[[Row], Any],
    state: Path,
    seed: int,
    on_step: Callable[[dict[str, Any]], None],
) -> Any:
    """Run GRPO to the recipe's last step, from the newest whole checkpoint in `state`; gives the PEFT model.

    Args:
        plan: (task, row index) of every prompt, in order.
        prompt: the trainer's form of a row's prompt.
        on_step: called with each line of the metrics file.

    Raises:
        BadInput: TRL or PEFT refuses an option of the recipe.
    """
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback
    from transformers.utils import logging
    from trl import GRPOConfig, GRPOTrainer

    logging.set_verbosity_error()
    checkpoints = state / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    start = newest(checkpoints)
    scorer = Scorer(pools, recipe.rewards, recipe.num_generations, recipe.unscorable_limit)
    metrics = MetricsFile(state / "metrics.jsonl", scorer, start[1] if start else 0)
    rows = [{"prompt": prompt(pools[task].rows[index]), "task": task, "row": index} for task, index in plan]
    try:
        arguments = GRPOConfig(**grpo_options(recipe, checkpoints, seed))
        lora = LoraConfig(task_type="CAUSAL_LM", **recipe.lora.model_dump())
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=scorer.functions(),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora,
            callbacks=[_watch(metrics, on_step)],
        )
    except (TypeError, ValueError) as error:
        raise BadInput(f"the trainer refuses the recipe: {error}") from error
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(start[0]) if start else None)
    return trainer.model


def _watch(metrics: MetricsFile, on_step: Callable[[dict[str, Any]], None]) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            metrics.begin_step()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if logs and "loss" in logs:
                on_step(metrics.end_step(state.global_step, logs))

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            metrics.sync()
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    return Watch()
