"""Log-likelihoods of continuations, as lm-evaluation-harness's `HFLM` computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from factory.models.chat import text_ids

Pair = tuple[list[int], list[int]]
TOKENS_AT_ONCE = 16384
"""Of one batch, padding included."""


def encoded_pair(tokenizer: Any, context: str, continuation: str) -> Pair:
    """Token ids of a context and of what continues it.

    Spaces at the context's end go to the continuation, and the continuation is what the tokens of the whole have beyond
    the context's: so words keep the tokens they have in running text.
    """
    kept = context.rstrip()
    continuation = context[len(kept) :] + continuation
    whole, before = text_ids(tokenizer, kept + continuation), text_ids(tokenizer, kept)
    return before, whole[len(before) :]


def log_likelihoods(model: Any, pairs: Sequence[Pair], limit: int) -> list[float]:
    """Natural log-probability of each continuation given its context, summed over its tokens.

    Args:
        pairs: (context ids, continuation ids); a continuation has at least one token.
        limit: tokens that the model reads; longer pairs lose tokens on the left.
    """
    import torch

    order = sorted(range(len(pairs)), key=lambda place: -len(pairs[place][0]) - len(pairs[place][1]))
    found = [0.0] * len(pairs)
    while order:
        width = min(len(pairs[order[0]][0]) + len(pairs[order[0]][1]) - 1, limit)
        size = max(1, TOKENS_AT_ONCE // width)
        batch, order = order[:size], order[size:]
        # Padding stands on the right, where a causal model cannot see it.
        inputs = torch.zeros(len(batch), width, dtype=torch.long)
        for row, place in enumerate(batch):
            tokens = torch.tensor([*pairs[place][0], *pairs[place][1]][-(limit + 1) :][:-1])
            inputs[row, : len(tokens)] = tokens
        with torch.inference_mode():
            logits = model(inputs.to(model.device)).logits
        for row, place in enumerate(batch):
            context, continuation = pairs[place]
            end = min(len(context) + len(continuation) - 1, limit)
            scores = torch.log_softmax(logits[row, max(0, end - len(continuation)) : end], -1)
            targets = torch.tensor(continuation[-len(scores) :], device=scores.device)
            found[place] = float(scores.gather(-1, targets[:, None]).sum())
    return found
