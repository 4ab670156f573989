"""A prompt as the model reads it: turns under the tokenizer's chat template, or plain text to be continued."""

from __future__ import annotations

from typing import Any

from factory.core.records import Row

SHOT_END = "\n\n"


def prompt_ids(tokenizer: Any, prompt: str, *, raw: bool = False) -> list[int]:
    """The prompt's token ids, up to where the answer begins.

    Args:
        raw: whether the prompt is plain text to be continued as it is.
    """
    if raw or not tokenizer.chat_template:
        return text_ids(tokenizer, prompt if raw else f"{prompt}\n")
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )
    # The template writes its own special tokens; adding them again would double a BOS.
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def row_text(tokenizer: Any, row: Row, *, chat: bool | None, delimiter: str = " ") -> str:
    """A benchmark item as text, with its worked examples, as lm-evaluation-harness writes it.

    Args:
        chat: whether each example and the item are turns of a chat; None is what the row itself says.
        delimiter: between a question and its answer, where they are plain text.

    Raises:
        ValueError: the tokenizer has no chat template and one is asked for.
    """
    as_chat = not row.raw and bool(tokenizer.chat_template) if chat is None else chat
    if not as_chat:
        shots = "".join(f"{question}{delimiter}{answer}{SHOT_END}" for question, answer in row.shots)
        return shots + row.prompt + ("" if row.raw else "\n")
    if not tokenizer.chat_template:
        raise ValueError("the tokenizer has no chat template")
    turns = [
        turn
        for question, answer in row.shots
        for turn in ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    ]
    turns.append({"role": "user", "content": row.prompt})
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def text_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text; special tokens are added unless the text begins with one of its own."""
    begin = tokenizer.bos_token
    if begin and text.startswith(begin):
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    return list(tokenizer(text, verbose=False)["input_ids"])


def longest(model: Any, tokenizer: Any) -> int:
    """Tokens that the model reads at most: its own limit, else the tokenizer's, else 2048."""
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length"):
        if isinstance(limit := getattr(config, name, None), int):
            return limit
    limit = tokenizer.model_max_length
    return int(limit) if isinstance(limit, int) and limit < 1 << 24 else 2048
