"""`factory score`: cells, without a study."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli._options import base_option, data_option, emit, jobs_option, json_option, store_option


@click.command()
@click.argument("variants", nargs=-1, metavar="[VARIANT]...")
@click.option("--benchmark", "benchmarks", multiple=True, metavar="NAME", help="A benchmark or a task; repeatable.")
@base_option
@jobs_option
@click.option(
    "--samples", type=click.IntRange(min=0), default=4, show_default=True, help="Sampled completions an item."
)
@click.option("--temperature", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=40, show_default=True, help="Of a completion.")
@click.option("--limit", type=click.IntRange(min=1), default=200, show_default=True, help="Items of each benchmark.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the sampling.")
@data_option
@store_option
@json_option
def command(
    *, variants: tuple[str, ...], benchmarks: tuple[str, ...], base: str | None, jobs: int, samples: int,
    temperature: float, max_new_tokens: int, limit: int, seed: int, data: Path | None, store: Path, json: bool,
) -> None:  # fmt: skip
    """Score each VARIANT (default: the base and all there is of it) on each benchmark (default: the embedded tasks).

    Every item's outcome is kept in the store; a cell that is there is not scored again.

    \b
    Examples:
      factory score base adapter:math --benchmark tiny_math --benchmark tiny_ops
      factory score merge:linear --benchmark tiny_sql --samples 16
    """
    from factory.engine.single import plan_cells, run_single

    decoding = {
        "samples": samples,
        "temperature": temperature,
        "greedy": True,
        "max_new_tokens": max_new_tokens,
        "limit": limit,
    }
    prepared = plan_cells(store, variants, benchmarks, base, decoding, seed, data)
    result, text = run_single(prepared, workers=jobs)
    emit(result, json, text)
