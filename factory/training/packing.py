"""A group's completions behind one copy of their prompt: each prompt is read once for all of them, nothing is padded.

A packed row is prompt[:-1], then for each completion the prompt's last token and the completion but for its last: every
position's next token is then a token of its completion. A completion sees its prompt and itself, at the positions it
would have alone, so that log-probabilities and gradients are those of separate rows up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TESTED = frozenset(["llama", "qwen2", "qwen3"])
"""Architectures whose packed rows are tested to give what separate ones give."""


@dataclass
class Packed:
    """What the model is called with.

    Attributes:
        input_ids, position_ids (rows, width).
        attention_mask (rows, 1, width, width): bool, true where a position may look.
        shift_labels (rows, width): the next token, -100 where none is scored.
        place (completions, longest): where each completion token is scored, as an index into rows * width.
    """

    input_ids: Any
    position_ids: Any
    attention_mask: Any
    shift_labels: Any
    place: Any


def pack(prompt_ids: Any, prompt_mask: Any, completion_ids: Any, completion_mask: Any) -> Packed:
    """Pack left-padded prompts and right-padded completions, (rows, tokens) each; equal prompts share a row."""
    import torch

    prompts = [ids[mask.bool()].tolist() for ids, mask in zip(prompt_ids, prompt_mask, strict=True)]
    lengths = completion_mask.sum(-1).tolist()
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, prompt in enumerate(prompts):
        groups.setdefault(tuple(prompt), []).append(row)
    width = max(len(prompt) - 1 + sum(lengths[row] for row in rows) for prompt, rows in groups.items())
    shape = len(groups), width
    ids, positions = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, -100)
    # 0 is the prompt, n the n-th completion; padding is a part of its own, so that no position looks at nothing.
    part = torch.full(shape, -1)
    place = torch.zeros(completion_ids.shape, dtype=torch.long)
    completions = completion_ids.cpu()
    for number, (prompt, rows) in enumerate(groups.items()):
        at = len(prompt) - 1
        ids[number, :at], part[number, :at] = torch.tensor(prompt[:-1], dtype=torch.long), 0
        positions[number, :at] = torch.arange(at)
        for index, row in enumerate(rows, 1):
            own, end = completions[row, : lengths[row]], at + lengths[row]
            if not lengths[row]:
                continue
            ids[number, at], ids[number, at + 1 : end] = prompt[-1], own[:-1]
            positions[number, at:end] = torch.arange(lengths[row]) + len(prompt) - 1
            labels[number, at:end], part[number, at:end] = own, index
            place[row, : lengths[row]] = torch.arange(at, end) + number * width
            at = end
    seen = (part[:, :, None] == part[:, None, :]) | ((part == 0)[:, None, :] & (part >= 0)[:, :, None])
    mask = (seen & torch.ones(width, width, dtype=torch.bool).tril())[:, None]
    return Packed(*(one.to(completion_ids.device) for one in (ids, positions, mask, labels, place)))


def packs(model: Any) -> bool:
    """Whether packed rows give a model what separate ones do: tested, attends to everything, takes a mask as it is."""
    config = model.config.get_text_config()
    full = all(kind == "full_attention" for kind in getattr(config, "layer_types", None) or [])
    return config.model_type in TESTED and config._attn_implementation == "sdpa" and full


def is_cheaper(model: Any, packed: Packed, rows: int, width: int) -> bool:
    """Whether packed rows cost fewer operations than `rows` separate ones of `width`: long ones pay in attention.

    A token costs two operations a weight, and four a layer, channel and position it is compared with.
    """
    config = model.config.get_text_config()
    heads = config.num_attention_heads * getattr(config, "head_dim", config.hidden_size // config.num_attention_heads)
    layers, hidden, inner = config.num_hidden_layers, config.hidden_size, config.intermediate_size
    weights: int = layers * (4 * hidden * heads + 3 * hidden * inner)

    def cost(count: int, length: int) -> int:
        return count * length * (2 * weights + 4 * int(layers * heads) * length)

    return cost(*packed.input_ids.shape) < cost(rows, width)
