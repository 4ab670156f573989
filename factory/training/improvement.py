"""How much one optimizer step improves the surrogate objective on the sequences it was taken on, task by task.

I_k of MT-GRPO (arXiv 2602.05547, eq. 8), as a mean over sequences: J(theta after) - J(theta before), where J of a
sequence is the token mean of min(r A, clip(r, 1 - e, 1 + e_high) A). Before the step r is 1, so J is A.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from factory.training.groups import Group


@dataclass
class Improvement:
    """Measures it around one optimizer step: `before`, the step, `after`.

    Attributes:
        pad_id: fills sequences up to one length.
        clip: (epsilon, epsilon_high).
        scale: whether advantages are divided by the group's standard deviation.
        at_once: sequences in a forward pass.
    """

    pad_id: int
    clip: tuple[float, float]
    scale: bool
    at_once: int
    _old: list[Any] = field(default_factory=list)

    def before(self, model: Any, groups: Sequence[Group]) -> None:
        """Note the log-probabilities of the step's sequences under the model as it is."""
        self._old = self._log_probabilities(model, groups)

    def after(self, model: Any, groups: Sequence[Group]) -> dict[str, float]:
        """The mean change of each task's sequences; tasks without a group are not there."""
        import torch

        low, high = self.clip
        changes: dict[str, list[float]] = {}
        sequences = [(g.task, a) for g in groups for a in g.advantages(self.scale)]
        for (task, advantage), old, new in zip(
            sequences, self._old, self._log_probabilities(model, groups), strict=True
        ):
            ratio = torch.exp(new - old)
            clipped = torch.clamp(ratio, 1 - low, 1 + high)
            objective = torch.minimum(ratio * advantage, clipped * advantage).mean().item()
            changes.setdefault(task, []).append(objective - advantage)
        self._old = []
        return {task: sum(values) / len(values) for task, values in changes.items()}

    def _log_probabilities(self, model: Any, groups: Sequence[Group]) -> list[Any]:
        """Of each completion's tokens, (completion tokens,) each, in order."""
        import torch

        sequences = [(g.prompt_ids, ids) for g in groups for ids in g.completion_ids]
        found: list[Any] = []
        with torch.no_grad():
            for start in range(0, len(sequences), self.at_once):
                part = sequences[start : start + self.at_once]
                width = max(len(p) + len(c) for p, c in part)
                longest = max(len(c) for _, c in part)
                ids = torch.full((len(part), width), self.pad_id, device=model.device)
                mask = torch.zeros_like(ids)
                for row, (prompt, completion) in enumerate(part):
                    # The completions end together, so that one slice of the logits holds them all.
                    text = torch.tensor([*prompt, *completion], device=model.device)
                    ids[row, width - len(text) :] = text
                    mask[row, width - len(text) :] = 1
                positions = (mask.cumsum(-1) - 1).clamp(min=0)
                output = model(input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=longest + 1)
                scores = torch.log_softmax(output.logits[:, -longest - 1 : -1].float(), -1)
                chosen = scores.gather(-1, ids[:, -longest:, None])[..., 0]
                found += [chosen[row, longest - len(c) :] for row, (_, c) in enumerate(part)]
        return found
