"""`factory run`: a whole study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import base_option, data_option, emit, jobs_option, json_option, store_option
from factory.core.errors import BadInput

STAGES = ("check", "base", "adapters", "merges", "matrix", "report")


@click.command()
@click.argument("study")
@base_option
@click.option(
    "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
    help="Where jobs run; ray is not supported yet.",
)  # fmt: skip
@jobs_option
@click.option("--seeds", metavar="0,1,2", help="Run the study once for each, instead of the study's own seeds.")
@click.option("--only", type=click.Choice(STAGES), help="Stop after this stage.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Score at most N items of each benchmark.")
@click.option("--force", multiple=True, metavar="NAME", help="Build this again, and what depends on it.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a field of the study.")
@click.option("--dry-run", is_flag=True, help="Check everything, print the plan with its cost, and stop.")
@data_option
@store_option
@json_option
def command(
    *, study: str, base: str | None, engine: str, jobs: int, seeds: str | None, only: str | None, limit: int | None,
    force: tuple[str, ...], settings: tuple[str, ...], dry_run: bool, data: Path | None, store: Path, json: bool,
) -> None:  # fmt: skip
    """Run STUDY, a file or the name of a shipped one: train, merge, score, report.

    What is finished is not done again; a run that was stopped, by Ctrl-C or by a power cut, goes on where it was.

    \b
    Examples:
      factory run studies/embedded.yaml
      factory run embedded --seeds 0,1,2 --jobs 2
      factory run embedded --only adapters
      factory run embedded --set adapters.math.max_steps=60 --dry-run
      factory run studies/real_rows.yaml --data DIR --base Qwen/Qwen2.5-0.5B-Instruct
    """
    if engine == "ray":
        raise BadInput("--engine ray: not supported yet; leave it out, and jobs run on this machine, --jobs at a time")
    from factory.engine.show import dry_run_result, dry_run_text, result_json, result_text
    from factory.engine.study import prepare, run_prepared

    changes: dict[str, Any] = {"base": base, "seeds": seeds, "limit": limit}
    prepared = prepare(store, study, settings, changes, data, dry=dry_run)
    if dry_run:
        emit(dry_run_result(prepared, only, force), json, dry_run_text(prepared, only, force))
        return
    result = run_prepared(prepared, workers=jobs, only=only, force=force)
    emit(result_json(prepared, result), json, result_text(result))
