"""`factory doctor`: what this machine can do."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from factory.cli._options import data_option, emit, json_option, store_option

MARKS = {"ok": "ok", "limited": "--", "problem": "!!"}


@click.command()
@data_option
@store_option
@json_option
def command(*, data: Path | None, store: Path, json: bool) -> None:
    """Say what this machine can do and what is missing, with the remedy. Exits 1 if the default study cannot run.

    \b
    Example:
      factory doctor
    """
    from factory.engine.doctor import examine

    checks = examine(store, data)
    lines = []
    for check in checks:
        lines.append(f"{MARKS[check.state]:<3} {check.name:<10} {check.found}")
        if check.remedy:
            lines.append(f"{'':<15}{check.remedy}")
    able = all(check.state != "problem" for check in checks)
    lines += ["", "the default study can run here" if able else "the default study cannot run here (see !!)"]
    emit({"able": able, "checks": [asdict(check) for check in checks]}, json, "\n".join(lines))
    if not able:
        sys.exit(1)
