"""`factory train`: adapters, without a study."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli._options import base_option, data_option, emit, jobs_option, json_option, store_option


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@base_option
@jobs_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the training.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a field of every named recipe.")
@click.option(
    "--processes", type=click.IntRange(min=1), default=1, show_default=True,
    help="That train each adapter together, on this machine; they share each step's prompts.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Train again what is there already.")
@click.option("--dry-run", is_flag=True, help="Check everything, print the plan with its cost, and stop.")
@data_option
@store_option
@json_option
def command(
    *, names: tuple[str, ...], base: str | None, jobs: int, seed: int, settings: tuple[str, ...], force: bool,
    processes: int, dry_run: bool, data: Path | None, store: Path, json: bool,
) -> None:  # fmt: skip
    """Train one adapter for each NAME, a recipe of `adapters/` or a file.

    A run that was stopped goes on from its last checkpoint; an adapter that is there is not trained again.

    \b
    Examples:
      factory train math sql
      factory train math --set max_steps=80 --set lora.r=16
      factory train math --processes 2
    """
    from factory.engine.single import plan_adapters, run_single

    prepared = plan_adapters(store, names, base or "embedded", seed, settings, data, processes)
    result, text = run_single(prepared, workers=jobs, force=force, dry_run=dry_run)
    emit(result, json, text)
