"""One answer of a variant to one prompt, to look at it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.hashing import seed_from
from factory.models.chat import prompt_ids


def answers(subject: Mapping[str, Any], prompt: str, options: Mapping[str, Any]) -> list[str]:
    """Completions of a prompt.

    Args:
        subject: `base` (`path`, `revision`, `quantization`) and `adapter` or `model` (folders or None), as in a cell's
            spec.
        options: `samples` (0 is one greedy answer), `temperature`, `max_new_tokens`, `seed`.

    Raises:
        BadInput: prompt and answer together are longer than the model reads.
    """
    from factory.evaluation.variants import adapted
    from factory.models.generate import generate
    from factory.models.load import loaded_base

    base, own = subject["base"], subject.get("model")
    model, tokenizer = loaded_base({**base, "path": own, "revision": None} if own else base)
    _check_length(model, tokenizer, prompt, options["max_new_tokens"])
    with adapted(model, Path(subject["adapter"]) if subject.get("adapter") else None) as variant:
        done = generate(
            variant,
            tokenizer,
            [prompt_ids(tokenizer, prompt)],
            samples=options["samples"],
            temperature=options["temperature"],
            max_new_tokens=options["max_new_tokens"],
            seed=seed_from("generate", options["seed"]),
        )
    return [completion.text for completion in done[0]]


def _check_length(model: Any, tokenizer: Any, prompt: str, new: int) -> None:
    limit = getattr(model.config, "max_position_embeddings", None)
    tokens = len(prompt_ids(tokenizer, prompt))
    if limit is not None and tokens + new > limit:
        raise BadInput(
            f"--prompt: {tokens} tokens and {new} new ones (--max-new-tokens) are more than the {limit} this base reads"
        )
