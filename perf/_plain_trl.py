"""GRPO as TRL's documentation has it: its own trainer, its own generation, on a recipe's rows with its verifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from factory.core.recipes import AdapterRecipe
from factory.rewards import Pool, Scorer


def plain_trainer(
    recipe: AdapterRecipe, base: Path, pool: Pool, folder: Path, seed: int, on_rewards: Callable[[list[float]], None]
) -> Any:
    """TRL's trainer for a recipe of one task: fp32, no gradient checkpointing, all else its defaults.

    Args:
        on_rewards: called with each step's shares of correct completions, as 0 and 1.
    """
    from datasets import Dataset
    from peft import LoraConfig
    from trl import GRPOConfig, GRPOTrainer

    from factory.models.load import load_model, load_tokenizer

    scorer = Scorer({pool.task.name: pool}, recipe.rewards, recipe.unscorable_limit)

    def reward(completions: list[Any], row: list[int], **_: Any) -> list[float]:
        texts = [messages[0]["content"] for messages in completions]
        verdicts = [pool.task.verify(text, pool.rows[index]) for text, index in zip(texts, row, strict=True)]
        on_rewards([float(bool(verdict.correct)) for verdict in verdicts])
        return [scorer.reward(pool.task.name, verdict) or 0.0 for verdict in verdicts]

    rows = range(min(len(pool.rows), recipe.max_steps * recipe.prompts_per_step))
    options = GRPOConfig(
        output_dir=str(folder), seed=seed, max_steps=recipe.max_steps, num_generations=recipe.num_generations,
        per_device_train_batch_size=recipe.prompts_per_step * recipe.num_generations,
        learning_rate=recipe.learning_rate, temperature=recipe.temperature, beta=recipe.beta,
        max_completion_length=recipe.max_completion_length, report_to="none", save_strategy="no", disable_tqdm=True,
        logging_steps=1,
        use_cpu=True, bf16=False, gradient_checkpointing=False, **recipe.trl,
    )  # fmt: skip
    return GRPOTrainer(
        model=load_model(str(base)),
        reward_funcs=reward,
        args=options,
        train_dataset=Dataset.from_list(
            [{"prompt": [{"role": "user", "content": pool.rows[index].prompt}], "row": index} for index in rows]
        ),
        processing_class=load_tokenizer(str(base)),
        peft_config=LoraConfig(task_type="CAUSAL_LM", **recipe.lora.model_dump()),
    )
