"""`factory score`: cells, without a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import (
    base_option,
    data_option,
    emit,
    jobs_option,
    json_option,
    quantization_option,
    store_option,
)


@click.command()
@click.argument("variants", nargs=-1, metavar="[VARIANT]...")
@click.option("--benchmark", "benchmarks", multiple=True, metavar="NAME", help="A benchmark or a task; repeatable.")
@base_option
@quantization_option
@jobs_option
@click.option(
    "--samples", type=click.IntRange(min=0), help="Sampled completions an item.  [default: the benchmark's, or 4]"
)
@click.option("--temperature", type=click.FloatRange(min=0, min_open=True), help="Of the samples.  [default: 1]")
@click.option(
    "--max-new-tokens", type=click.IntRange(min=1), help="Of a completion.  [default: the benchmark's, or 40]"
)
@click.option("--few-shot", type=click.IntRange(min=0), help="Worked examples.  [default: the benchmark's]")
@click.option("--chat-template/--no-chat-template", default=None, help="Of prompts.  [default: the benchmark's]")
@click.option("--metric", help="Which of the benchmark's metrics is the score.  [default: its first]")
@click.option("--limit", type=click.IntRange(min=1), help="Items of each benchmark.  [default: 200]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the sampling.")
@data_option
@store_option
@json_option
def command(
    *, variants: tuple[str, ...], benchmarks: tuple[str, ...], base: str | None, quantization: Any, jobs: int,
    samples: int | None, temperature: float | None, max_new_tokens: int | None, few_shot: int | None,
    chat_template: bool | None, metric: str | None, limit: int | None, seed: int, data: Path | None, store: Path,
    json: bool,
) -> None:  # fmt: skip
    """Score each VARIANT (default: the base and all there is of it) on each benchmark (default: the embedded tasks).

    Every item's outcome is kept in the store; a cell that is there is not scored again.

    \b
    Examples:
      factory score base adapter:math --benchmark tiny_math --benchmark tiny_ops
      factory score merge:linear --benchmark tiny_sql --samples 16
    """
    from factory.engine.single import plan_cells, run_single

    options = {
        "samples": samples,
        "temperature": temperature,
        "max_new_tokens": max_new_tokens,
        "few_shot": few_shot,
        "chat_template": chat_template,
        "metric": metric,
        "limit": limit,
    }
    asked = {name: value for name, value in options.items() if value is not None}
    prepared = plan_cells(store, variants, benchmarks, base, asked, seed, data, quantization)
    result, text = run_single(prepared, workers=jobs)
    emit(result, json, text)
