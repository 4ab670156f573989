"""`factory generate`: one answer, to look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import base_option, emit, json_option, quantization_option, store_option


@click.command()
@click.argument("variant")
@click.option("--prompt", required=True, metavar="TEXT", help="What the user says.")
@click.option("--compare", metavar="VARIANT", help="Another variant, shown beside it.")
@click.option("--samples", type=click.IntRange(min=0), default=0, show_default=True, help="0: one greedy answer.")
@click.option("--temperature", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the sampling.")
@base_option
@quantization_option
@store_option
@json_option
def command(
    *, variant: str, prompt: str, compare: str | None, samples: int, temperature: float, max_new_tokens: int,
    seed: int, base: str | None, quantization: Any, store: Path, json: bool,
) -> None:  # fmt: skip
    """Let VARIANT answer a prompt, under the base's chat template.

    \b
    Examples:
      factory generate adapter:math --prompt "What is 7 + 12 - 3?"
      factory generate merge:linear --prompt "What is 7 + 12 - 3?" --compare base --samples 4
    """
    from factory.engine.single import subjects_of
    from factory.evaluation.answer import answers

    options = {"samples": samples, "temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
    titles = [variant, compare] if compare else [variant]
    found = subjects_of(store, titles, base, seed, quantization)
    said = {title: answers(subject, prompt, options) for title, subject in found.items()}
    emit({"prompt": prompt, "answers": said}, json, _side_by_side(said))


def _side_by_side(said: dict[str, list[str]]) -> str:
    width = max(len(title) for title in said)
    return "\n".join(
        f"{title:<{width}}  {_printable(text, width + 2)}" for title, texts in said.items() for text in texts
    )


def _printable(text: str, indent: int) -> str:
    """Further lines under the first, and no control character: a model's text must not steer a terminal."""
    shown = "".join(sign if sign.isprintable() or sign == "\n" else repr(sign)[1:-1] for sign in text)
    return shown.rstrip().replace("\n", "\n" + " " * indent)
