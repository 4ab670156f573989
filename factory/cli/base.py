"""`factory base`: the embedded base."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli._options import emit, json_option, store_option


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the warm-up.")
@store_option
@json_option
def command(*, seed: int, store: Path, json: bool) -> None:
    """Build the embedded base, or show it if it is there: a tiny Llama, partly skilled at the embedded tasks.

    \b
    Example:
      factory base --seed 1
    """
    from factory.engine.single import build_base

    result = build_base(store, seed)
    text = (
        f"{result['title']}: {result['parameters']:,} parameters, {result['cpu_seconds']:.0f} CPU-seconds to build\n"
        f"{result['path']}"
    )
    emit(result, json, text)
