"""Several adapters of one base as one teacher: each sequence is read under the adapter of its task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from factory.core.errors import BadInput
from factory.training.demonstrations import task_entry
from factory.training.draws import drawn
from factory.training.lesson import Taught, Work
from factory.training.queues import Queues

if TYPE_CHECKING:
    import torch


def taught_by(work: Work, teachers: Mapping[str, str], divergence: float) -> Taught:
    """On-policy distillation from the teacher of each row's task.

    Args:
        teachers: by task, as the recipe names them.
        divergence: TRL's `beta`.

    Raises:
        BadInput: a prompt and completion do not fit the base, or TRL or PEFT refuses an option.
    """
    from factory.models.chat import longest
    from factory.training.preflight import check_room
    from factory.training.trl_lessons import follow

    queues = Queues({task: pool.rows for task, pool in work.pools.items()}, work.seed)
    size = work.recipe.prompts_per_step
    rows = [drawn(work.strategy, queues, step, size, work.seed) for step in range(work.recipe.max_steps)]
    flat = [one for step in rows for one in step]
    ids = {one: tuple(work.tokens(work.pools[one[0]].rows[one[1]])) for one in dict.fromkeys(flat)}
    check_room(longest(work.model, work.tokenizer), work.recipe, max(map(len, ids.values())))
    names = {task: teacher for task, teacher in teachers.items() if task in work.pools}
    teacher = Teachers.load(work, names, {prompt: task for (task, _), prompt in ids.items()})

    def tasks_of(step: int, lengths: Sequence[int]) -> dict[str, Any]:
        own: dict[str, list[int]] = {}
        for (task, _), length in zip(rows[step - 1], lengths, strict=True):
            own.setdefault(task, []).append(length)
        return {task: task_entry(len(each), sum(each), len(each)) for task, each in own.items()}

    prompts = [_prompt(work, task, row) for task, row in flat]
    model = follow(work, prompts, teacher, divergence, tasks_of)
    seen = Counter(task for task, _ in dict.fromkeys(flat))
    return Taught(model, None, seen, notes={"teachers": dict(names)})


def _prompt(work: Work, task: str, row: int) -> Any:
    """A prompt as TRL takes it, such that it is tokenised as ours are."""
    one = work.pools[task].rows[row]
    if not one.raw and work.tokenizer.chat_template:
        return [{"role": "user", "content": one.prompt}]
    return one.prompt if one.raw else f"{one.prompt}\n"


class Teachers:
    """What TRL's `DistillationTrainer` asks of a teacher, with an adapter for each sequence.

    TRL reads the last hidden state of the teacher's backbone and the output embeddings; the adapters of one base share
    the latter. A sequence's task is known by its prompt, which is one of those the student was given.
    """

    @staticmethod
    def load(work: Work, teachers: Mapping[str, str], tasks: Mapping[tuple[int, ...], str]) -> Any:
        """A module that routes; the base is loaded once more, the student's being trained."""
        from peft import PeftModel
        from torch import nn

        folders = dict.fromkeys(teachers.values())
        base = work.load().eval()
        model: Any = None
        for name in folders:
            folder, adapter = work.teachers[name], _adapter_name(name)
            if model is None:
                model = PeftModel.from_pretrained(base, folder, adapter_name=adapter)
            else:
                model.load_adapter(folder, adapter_name=adapter)
        adapter_of = {prompt: _adapter_name(teachers[task]) for prompt, task in tasks.items()}
        lengths = sorted({len(prompt) for prompt in adapter_of}, reverse=True)

        class Routed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model
                self.config = base.config

            def get_output_embeddings(self) -> Any:
                return base.get_output_embeddings()

            def forward(self, *args: Any, **kwargs: Any) -> Any:
                return self.model(*args, **kwargs)

            def base_model(self, input_ids: Any, attention_mask: Any, **kwargs: Any) -> Any:
                """The backbone under each sequence's adapter."""
                hidden: torch.Tensor | None = None
                names = [_known(ids[mask.bool()].tolist(), lengths, adapter_of)
                         for ids, mask in zip(input_ids, attention_mask, strict=True)]  # fmt: skip
                for name in dict.fromkeys(names):
                    chosen = [place for place, one in enumerate(names) if one == name]
                    self.model.set_adapter(name, inference_mode=True)
                    kwargs.pop("logits_to_keep", None)
                    part = base.base_model(
                        input_ids=input_ids[chosen], attention_mask=attention_mask[chosen], **kwargs
                    ).last_hidden_state
                    if hidden is None:
                        hidden = part.new_zeros(len(names), *part.shape[1:])
                    hidden[chosen] = part
                return SimpleNamespace(last_hidden_state=hidden)

        routed = Routed()
        for parameter in routed.parameters():
            parameter.requires_grad_(False)
        return routed


def _known(ids: list[int], lengths: list[int], adapter_of: Mapping[tuple[int, ...], str]) -> str:
    """The adapter of a sequence, by the longest prompt that it begins with."""
    for length in lengths:
        name = adapter_of.get(tuple(ids[:length]))
        if name is not None:
            return name
    raise BadInput("a prompt was tokenised otherwise by TRL than here; is its chat template one that knows the date?")


def _adapter_name(teacher: str) -> str:
    """PEFT takes no dots in an adapter's name."""
    return "".join(c if c.isalnum() else "_" for c in teacher)
