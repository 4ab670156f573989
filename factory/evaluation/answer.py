"""One answer of a variant to one prompt, to look at it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.core.hashing import seed_from


def answers(subject: Mapping[str, Any], prompt: str, options: Mapping[str, Any]) -> list[str]:
    """Completions of a prompt.

    Args:
        subject: `base` (`path`, `revision`) and `adapter` or `model` (folders or None), as in a cell's spec.
        options: `samples` (0 is one greedy answer), `temperature`, `max_new_tokens`, `seed`.
    """
    from factory.evaluation.variants import adapted
    from factory.models.generate import generate
    from factory.models.load import loaded

    base = subject["base"]
    path, revision = (subject["model"], None) if subject.get("model") else (base["path"], base.get("revision"))
    model, tokenizer = loaded(path, revision)
    with adapted(model, Path(subject["adapter"]) if subject.get("adapter") else None) as variant:
        done = generate(
            variant,
            tokenizer,
            [prompt],
            samples=options["samples"],
            temperature=options["temperature"],
            max_new_tokens=options["max_new_tokens"],
            seed=seed_from("generate", options["seed"]),
        )
    return [completion.text for completion in done[0]]
