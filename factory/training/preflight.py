"""What is tried before a long training: gold answers through the verifier, the longest step through the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory.core.errors import BadInput
from factory.core.memory import free_bytes
from factory.core.recipes import AdapterRecipe
from factory.rewards import CORRECT, Pool, Scorer

GOLDS = 8


def check_golds(pools: Mapping[str, Pool], scorer: Scorer) -> None:
    """Refuse a task whose verifier rejects its own answers, or whose right answers earn no more than nothing.

    Raises:
        BadInput: all of the first gold answers of a task are rejected, or an empty completion is paid as well as one.
    """
    for task, pool in pools.items():
        if not any(row.gold for row in pool.rows[:GOLDS]):
            continue  # a task may have none: its verifier then judges by other means
        rows = range(min(GOLDS, len(pool.rows)))
        verdicts = [scorer.verdicts(task, row, [pool.rows[row].gold, ""]) for row in rows]
        if not any(gold.correct for gold, _ in verdicts):
            raise BadInput(
                f"task {task}: its verifier rejects the gold answers of its first {len(verdicts)} training rows "
                f"({verdicts[0][0].reason}); look at them with 'factory tasks {task}'"
            )
        pay = [(scorer.reward(task, gold) or 0.0, scorer.reward(task, empty) or 0.0) for gold, empty in verdicts]
        if all(gold <= empty for gold, empty in pay):
            raise BadInput(
                f"task {task}: a right answer is paid {pay[0][0]:g} and an empty one {pay[0][1]:g}; give 'rewards' a "
                f"component that the task has, as {CORRECT}"
            )


def check_room(limit: int, recipe: AdapterRecipe, prompt_tokens: int) -> None:
    """Refuse prompts and completions that together are longer than the base reads.

    Args:
        limit: tokens that the base reads at most.
        prompt_tokens: of the longest prompt.

    Raises:
        BadInput: they are.
    """
    if prompt_tokens + recipe.max_completion_length > limit:
        raise BadInput(
            f"the longest prompt has {prompt_tokens} tokens and max_completion_length is "
            f"{recipe.max_completion_length}, the base reads {limit}; lower max_completion_length, or take a base that "
            "reads more"
        )


def check_memory(model: Any, recipe: AdapterRecipe, prompt_tokens: int) -> None:
    """Refuse a step that the device cannot hold: on a GPU by a forward and backward pass over the longest batch.

    On a CPU the step's logits and their gradients are counted: less than it takes, so what is refused is impossible; a
    process that takes too much there is killed without a word.

    Raises:
        BadInput: the device's memory does not hold it.
    """
    import torch

    batch = recipe.per_device_train_batch_size or recipe.prompts_per_step * recipe.num_generations
    width = prompt_tokens + recipe.max_completion_length
    remedy = f"lower per_device_train_batch_size (now {batch}) or max_completion_length"
    if not torch.cuda.is_available():
        vocabulary = model.config.get_text_config().vocab_size
        needed = 2 * 4 * batch * (recipe.max_completion_length + 1) * vocabulary
        free = free_bytes()
        if needed > free:
            raise BadInput(
                f"one step does not fit: the logits of {batch} sequences of {recipe.max_completion_length} tokens, and "
                f"their gradients, take {needed / 2**30:.3g} GiB, {free / 2**30:.3g} GiB are free; {remedy}"
            )
        return
    try:
        ids = torch.zeros(batch, width, dtype=torch.long, device=model.device)
        logits = model(input_ids=ids, logits_to_keep=recipe.max_completion_length + 1).logits
        logits.float().log_softmax(-1).mean().backward()
        model.zero_grad(set_to_none=True)
    except torch.cuda.OutOfMemoryError as error:
        raise BadInput(
            f"the GPU's memory does not hold one step ({batch} sequences of {width} tokens); {remedy}, or set "
            "trl.gradient_checkpointing"
        ) from error
    finally:
        torch.cuda.empty_cache()
