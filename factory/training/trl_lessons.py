"""TRL's other trainers: `SFTTrainer` on demonstrations, `DistillationTrainer` under one teacher or several."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from factory.core.errors import BadInput
from factory.training.checkpoints import newest
from factory.training.lesson import Work
from factory.training.lora import lora_config, settle
from factory.training.metrics import MetricsFile
from factory.training.step_log import Tasks, Written, step_log
from factory.training.trl_door import shared_options


def imitate(work: Work, sequences: Sequence[dict[str, list[int]]], tasks_of: Tasks) -> Any:
    """Supervised steps on sequences of `input_ids` and `labels`, in their order, `prompts_per_step` a step.

    Returns:
        The PEFT model.

    Raises:
        BadInput: TRL or PEFT refuses an option of the recipe, or the checkpoint is of another one.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    def make(shared: dict[str, Any], callback: Any) -> Any:
        own = {
            "max_length": None,
            "packing": False,
            "dataset_kwargs": {"skip_prepare_dataset": True},
            "train_sampling_strategy": "sequential",
        }
        return SFTTrainer(
            model=work.model,
            args=SFTConfig(**{**shared, **own, **work.recipe.trl}),
            train_dataset=Dataset.from_list(list(sequences)),
            processing_class=work.tokenizer,
            peft_config=lora_config(work.recipe.lora),
            callbacks=[callback],
        )

    return _run(work, make, tasks_of, Written())


def follow(work: Work, prompts: Sequence[Any], teacher: Any, beta: float, tasks_of: Tasks) -> Any:
    """On-policy distillation: the student writes, and is drawn to the teacher's distribution at each token it wrote.

    Args:
        prompts: as TRL takes them, text or turns of a chat, in order, `prompts_per_step` a step.
        teacher: a model with the base's tokenizer.
        beta: 0 for the forward divergence KL(teacher, student), 1 for the reverse one, between them Jensen-Shannon's.

    Returns:
        The PEFT model.

    Raises:
        BadInput: TRL or PEFT refuses an option of the recipe, or the checkpoint is of another one.
    """
    from datasets import Dataset
    from trl import DistillationConfig, DistillationTrainer

    written = Written()

    class Follower(DistillationTrainer):  # type: ignore[misc]
        """TRL's; it tells how long each completion is, of which TRL logs the mean, and how long writing took."""

        def _generate(self, prompts: list[Any]) -> Any:
            start = time.monotonic()
            given = super()._generate(prompts)
            written.lengths += [len(ids) for ids in given[1]]
            written.seconds += time.monotonic() - start
            return given

    def make(shared: dict[str, Any], callback: Any) -> Any:
        own = {
            "beta": beta,
            "temperature": work.recipe.temperature,
            "max_completion_length": work.recipe.max_completion_length,
            "shuffle_dataset": False,
        }
        return Follower(
            model=work.model,
            teacher_model=teacher,
            args=DistillationConfig(**{**shared, **own, **work.recipe.trl}),
            train_dataset=Dataset.from_dict({"prompt": list(prompts)}),
            processing_class=work.tokenizer,
            peft_config=lora_config(work.recipe.lora),
            callbacks=[callback],
        )

    return _run(work, make, tasks_of, written)


def _run(work: Work, make: Callable[[dict[str, Any], Any], Any], tasks_of: Tasks, written: Written) -> Any:
    from transformers import PrinterCallback
    from transformers.utils import logging

    logging.set_verbosity_error()
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    checkpoints = work.state / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    start = newest(checkpoints, work.of)
    metrics = MetricsFile(work.metrics_path, start[1] if start else 0)
    shared = shared_options(work.recipe, checkpoints, work.seed, work.recipe.prompts_per_step)
    try:
        trainer = make(shared, step_log(work, metrics, tasks_of, written))
    except (TypeError, ValueError) as error:
        raise BadInput(f"the trainer refuses the recipe: {error}") from error
    settle(trainer.model, work.recipe.lora)
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(start[0]) if start else None)
    return trainer.model
