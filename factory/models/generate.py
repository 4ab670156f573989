"""Completions from a model, by transformers' own `generate`, with every sampling option pinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SMALL_PARAMETERS = 50_000_000
TOKENS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Completion:
    """One generated text and how many tokens it took, the end token included."""

    text: str
    tokens: int


def sequences_at_once(model: Any, tokens: int = 1) -> int:
    """How many sequences to decode in one batch; part of a sampled result's identity, so it depends on sizes alone.

    Args:
        tokens: of the longest sequence, prompt and completion.
    """
    small = sum(p.numel() for p in model.parameters()) < SMALL_PARAMETERS
    return max(1, min(320 if small else 32, TOKENS_AT_ONCE // tokens))


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    samples: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    stop: Sequence[str] = (),
    seed: int = 0,
) -> list[list[Completion]]:
    """Complete each prompt.

    Args:
        prompts: token ids, as `factory.models.chat.prompt_ids` gives them.
        samples: completions for each prompt; 0 gives one greedy completion.
        stop: a completion ends where one of these texts begins, and does not hold it.
        seed: of the sampling; the same model, prompts and seed give the same completions on one machine type.

    Returns:
        For each prompt its completions, in order.
    """
    import torch
    from transformers import GenerationConfig

    own = model.generation_config
    options: dict[str, Any] = {"do_sample": False}
    if samples:
        options = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    config = GenerationConfig(
        **options,
        num_return_sequences=max(samples, 1),
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id,
    )
    batch = _left_padded(prompts, tokenizer.pad_token_id)
    width = batch["input_ids"].shape[1]
    torch.manual_seed(seed)
    # A base's own file may set top_k, penalties and more; none of that may leak into a score.
    model.generation_config, kept = GenerationConfig(), own
    try:
        with torch.inference_mode():
            output = model.generate(
                **{k: v.to(model.device) for k, v in batch.items()},
                generation_config=config,
                stopping_criteria=_stopping(tokenizer, stop, width) if stop else None,
            )
    finally:
        model.generation_config = kept
    ends = set(config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id])
    rows = [_completion(row, ends, tokenizer, stop) for row in output[:, width:].tolist()]
    each = max(samples, 1)
    return [rows[start : start + each] for start in range(0, len(rows), each)]


def _completion(ids: list[int], ends: set[int], tokenizer: Any, stop: Sequence[str]) -> Completion:
    length = next((place + 1 for place, token in enumerate(ids) if token in ends), len(ids))
    text = tokenizer.decode(ids[:length], skip_special_tokens=True)
    for mark in stop:
        text = text.split(mark)[0]
    return Completion(text, length)


def _stopping(tokenizer: Any, stop: Sequence[str], width: int) -> Any:
    """Ends a row once its text holds a stop; what stands after it is cut off later.

    Only the last tokens are looked at: as many as the longest stop has characters cannot be too few, and two more, for
    a character may be several tokens.
    """
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    look = 2 + max(map(len, stop))

    class Stops(StoppingCriteria):  # type: ignore[misc]
        done: Any = None

        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            if self.done is None:
                self.done = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
            begin = max(width, input_ids.shape[1] - look)
            for row in (~self.done).nonzero()[:, 0].tolist():
                text = tokenizer.decode(input_ids[row, begin:])
                self.done[row] = any(mark in text for mark in stop)
            return self.done

    return StoppingCriteriaList([Stops()])


def _left_padded(sequences: Sequence[list[int]], pad: int) -> dict[str, Any]:
    import torch

    width = max(len(ids) for ids in sequences)
    ids = torch.full((len(sequences), width), pad)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, width - len(sequence) :] = torch.tensor(sequence)
        mask[row, width - len(sequence) :] = 1
    return {"input_ids": ids, "attention_mask": mask}
