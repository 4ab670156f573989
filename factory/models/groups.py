"""Groups of completions for GRPO: each prompt is read once, rows that have ended are dropped.

transformers' own `generate` reads a prompt once for each completion and carries finished rows to the end of the
longest; on groups of eight that is most of the time. The distribution is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

KEEP_SHARE = 0.75
"""Rows are dropped when fewer than this share of them is still running; each drop copies the cache."""


def sample_groups(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    group: int,
    max_new_tokens: int,
    end_ids: Sequence[int],
    pad_id: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
) -> list[list[list[int]]]:
    """Sample `group` completions of each prompt, from torch's global random state.

    Args:
        model: a causal LM in the mode it is to be run in; its cache must be a `DynamicCache`.
        prompts: token ids.
        end_ids: a completion ends with one of them, or at `max_new_tokens`.

    Returns:
        For each prompt its completions' token ids, end token included.
    """
    import torch

    from factory.models.generate import sequences_at_once

    found: list[list[list[int]]] = []
    size = max(1, sequences_at_once(model, max(map(len, prompts)) + max_new_tokens) // group)
    with torch.no_grad():
        for start in range(0, len(prompts), size):
            rows = _batch(
                model, prompts[start : start + size], group, max_new_tokens, set(end_ids), pad_id,
                (temperature, top_p, top_k),
            )  # fmt: skip
            found += [rows[place : place + group] for place in range(0, len(rows), group)]
    return found


def _batch(
    model: Any, prompts: Sequence[Sequence[int]], group: int, longest: int, ends: set[int], pad: int,
    warp: tuple[float, float, int],
) -> list[list[int]]:  # fmt: skip
    import torch
    from transformers import DynamicCache

    device = model.device
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad, device=device)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(list(prompt), device=device)
        mask[row, width - len(prompt) :] = 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config.get_text_config())
    output = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
        logits_to_keep=1,
    )  # fmt: skip
    cache.batch_repeat_interleave(group)
    logits = output.logits[:, -1].repeat_interleave(group, 0)
    mask, position = mask.repeat_interleave(group, 0), positions[:, -1].repeat_interleave(group, 0)
    end_ids = torch.tensor(sorted(ends), device=device)
    done: list[list[int]] = [[] for _ in range(len(prompts) * group)]
    places = torch.arange(len(done), device=device)
    running = torch.ones(len(done), dtype=torch.bool, device=device)
    while True:
        tokens = _sampled(logits, *warp)
        for place, token, alive in zip(places.tolist(), tokens.tolist(), running.tolist(), strict=True):
            if alive:
                done[place].append(token)
        running &= ~torch.isin(tokens, end_ids)
        longest -= 1
        if longest == 0 or not running.any():
            return done
        if running.sum() < KEEP_SHARE * len(running):
            keep = running.nonzero()[:, 0]
            cache.batch_select_indices(keep)
            tokens, mask, position, places, running = (one[keep] for one in (tokens, mask, position, places, running))
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        position = position + 1
        logits = model(
            input_ids=tokens[:, None], attention_mask=mask, position_ids=position[:, None], past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]  # fmt: skip


def _sampled(logits: Any, temperature: float, top_p: float, top_k: int) -> Any:
    """One token a row; the warpers are transformers' own, in its order."""
    import torch
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = logits.float()
    if temperature != 1.0:
        logits = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k:
        logits = TopKLogitsWarper(top_k)(None, logits)
    if top_p < 1.0:
        logits = TopPLogitsWarper(top_p)(None, logits)
    return torch.multinomial(torch.softmax(logits, -1), 1)[:, 0]
