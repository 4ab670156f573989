"""Log-likelihoods of continuations, as lm-evaluation-harness's `HFLM` computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from factory.models.chat import text_ids

Pair = tuple[list[int], list[int]]
TOKENS_AT_ONCE = 16384
"""Of one batch, padding included."""
LOGITS_AT_ONCE = 1 << 28
"""Of one batch, 1 GiB in fp32: a vocabulary of 150,000 would make ten times that of all of a batch's tokens."""


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

    Raises:
        ValueError: a context or a continuation without tokens.
    """
    import torch

    pairs = [(before[max(0, len(before) + len(after) - limit - 1) :], after[-limit:]) for before, after in pairs]
    if not all(before and after for before, after in pairs):
        raise ValueError("a context or a continuation has no tokens")
    vocabulary = model.config.get_text_config().vocab_size
    order = sorted(range(len(pairs)), key=lambda place: -len(pairs[place][0]) - len(pairs[place][1]))
    found = [0.0] * len(pairs)
    while order:
        width = sum(map(len, pairs[order[0]])) - 1
        size = max(1, TOKENS_AT_ONCE // width)
        kept = width - _first(pairs, order[:size])
        size = max(1, min(size, LOGITS_AT_ONCE // (kept * vocabulary)))
        batch, order = order[:size], order[size:]
        # Padding stands on the right, where a causal model cannot see it.
        inputs = torch.zeros(len(batch), width, dtype=torch.long)
        for row, place in enumerate(batch):
            tokens = torch.tensor([*pairs[place][0], *pairs[place][1]][:-1])
            inputs[row, : len(tokens)] = tokens
        # What stands before every continuation of the batch is read, and predicts nothing that is asked for.
        first = _first(pairs, batch)
        with torch.inference_mode():
            logits = model(inputs.to(model.device), logits_to_keep=width - first).logits
        for row, place in enumerate(batch):
            context, continuation = pairs[place]
            begin = len(context) - 1 - first
            scores = torch.log_softmax(logits[row, begin : begin + len(continuation)], -1)
            targets = torch.tensor(continuation, device=scores.device)
            found[place] = float(scores.gather(-1, targets[:, None]).sum())
    return found


def _first(pairs: Sequence[Pair], places: Sequence[int]) -> int:
    """The first position of a batch whose prediction is needed."""
    return min(len(pairs[place][0]) for place in places) - 1
