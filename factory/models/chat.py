"""One prompt, as the model reads it: the user turn under the tokenizer's chat template, or as it is without one."""

from __future__ import annotations

from typing import Any


def conversation(tokenizer: Any, prompt: str, *, raw: bool = False) -> list[dict[str, str]] | str:
    """The prompt in TRL's form: messages where the tokenizer has a chat template, else plain text.

    Args:
        raw: whether the prompt is plain text to be continued as it is.
    """
    if raw:
        return prompt
    return [{"role": "user", "content": prompt}] if tokenizer.chat_template else f"{prompt}\n"


def prompt_ids(tokenizer: Any, prompt: str, *, raw: bool = False) -> list[int]:
    """The prompt's token ids, up to where the answer begins."""
    turn = conversation(tokenizer, prompt, raw=raw)
    if isinstance(turn, str):
        return list(tokenizer(turn, verbose=False)["input_ids"])
    text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    # The template writes its own special tokens; adding them again would double a BOS.
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
