"""TRL's GRPO loss with less to compute: rows without advantage are left out, equal prompts are read once.

Both are exact: with beta 0 and a normaliser that spans the batch, a row whose advantage is 0 adds nothing to loss or
gradient. A subclass of one public and one private method of TRL 1.16; a test compares their signatures.
"""

from __future__ import annotations

from typing import Any

from factory.training.packing import is_cheaper, pack, packs

SPANNING = ("dapo", "cispo")
"""Losses that are divided by the tokens of the whole step, whichever rows are there."""


def lean(trainer: type) -> type:
    """A subclass of TRL's `GRPOTrainer` that computes the same with less.

    Entropy and clip ratios are then told of the rows that teach.
    """

    class Lean(trainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            if self.model.training and _may_drop(self):
                # TRL gathers one figure a row, so all processes keep as many as the one that needs most.
                count = (inputs["advantages"] != 0).sum()
                inputs = teaching(inputs, int(self.accelerator.gather(count).max()))
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

        def _get_per_token_logps_and_entropies(
            self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *args: Any, **kwargs: Any
        ) -> Any:
            import torch

            plain = super()._get_per_token_logps_and_entropies
            # Without gradients there are no activations to save, and TRL goes through the rows in parts.
            wanted = {name for name, value in kwargs.items() if value is not None} - {"compute_entropy"}
            if args or not torch.is_grad_enabled() or not _text_only(wanted, kwargs) or not packs(self.model):
                return plain(model, input_ids, attention_mask, logits_to_keep, *args, **kwargs)
            prompt = slice(None, input_ids.size(1) - logits_to_keep)
            rest = slice(input_ids.size(1) - logits_to_keep, None)
            packed = pack(input_ids[:, prompt], attention_mask[:, prompt], input_ids[:, rest], attention_mask[:, rest])
            if not is_cheaper(self.model, packed, *input_ids.shape):
                return plain(model, input_ids, attention_mask, logits_to_keep, *args, **kwargs)
            with self.accelerator.autocast():
                outputs = model(
                    input_ids=packed.input_ids, attention_mask=packed.attention_mask,
                    position_ids=packed.position_ids, shift_labels=packed.shift_labels, fused_lm_head=True,
                )  # fmt: skip
            mask = attention_mask[:, rest]
            logps = outputs.log_probs.flatten()[packed.place] * mask
            if not kwargs.get("compute_entropy"):
                return logps, None, None
            return logps, outputs.entropy.flatten()[packed.place] * mask, None

    return Lean


def teaching(inputs: dict[str, Any], at_least: int = 1) -> dict[str, Any]:
    """The rows of a micro-batch whose advantage is not 0, without the padding that only others need.

    Args:
        inputs: TRL's: `prompt_ids`, `prompt_mask`, `completion_ids`, `completion_mask`, `advantages` and more, all with
            the rows first; scalars stay.
        at_least: rows to keep, of those without advantage if need be; one is always kept.
    """
    keep = inputs["advantages"] != 0
    if keep.ndim > 1 or keep.all():
        return inputs
    count = max(int(keep.sum()), at_least, 1)
    rows = keep.int().argsort(descending=True, stable=True)[:count].sort().values
    part = {name: value[rows] if getattr(value, "ndim", 0) else value for name, value in inputs.items()}
    width = inputs["completion_ids"].size(1)
    prompt = int(part["prompt_mask"].sum(-1).max())
    longest = max(int(part["completion_mask"].sum(-1).max()), 1)
    for name in ("prompt_ids", "prompt_mask"):
        part[name] = part[name][:, -prompt:]
    for name, value in part.items():
        if getattr(value, "ndim", 0) == 2 and value.size(1) == width and not name.startswith("prompt"):
            part[name] = value[:, :longest]
    return part


def _may_drop(trainer: Any) -> bool:
    return (
        trainer.beta == 0.0
        and trainer.loss_type in SPANNING
        and trainer.top_entropy_quantile == 1.0
        and trainer.off_policy_mask_threshold is None
        and not trainer._entropy_bonus_enabled
        and not trainer.aux_loss_enabled
    )


def _text_only(wanted: set[str], kwargs: dict[str, Any]) -> bool:
    """Whether a call asks for nothing but log-probabilities and entropies of text."""
    return not {name for name in wanted if kwargs[name] is not False}
