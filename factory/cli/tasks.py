"""`factory tasks`: the catalogue of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import data_option, emit, json_option, store_option


@click.command()
@click.argument("name", required=False)
@data_option
@store_option
@json_option
def command(*, name: str | None, data: Path | None, store: Path, json: bool) -> None:
    """List the tasks with their rows and licences; with NAME, sample prompts, the gold answer and its verdict.

    \b
    Examples:
      factory tasks
      factory tasks tiny_sql
      factory tasks gsm8k --data DIR --json
    """
    from factory.engine.catalogue import catalogue, samples, source_of

    del store
    source = source_of(data)
    if name is None:
        entries = catalogue(source)
        emit(entries, json, "\n".join(_line(entry) for entry in entries))
        return
    found = samples(name, source)
    emit(found, json, _shown(found))


def _line(entry: dict[str, Any]) -> str:
    counts = entry.get("rows")
    rows = "/".join(str(count) for count in counts.values()) if counts else "needs --data"
    chance = f"chance {entry['chance']:.2f}  " if entry["chance"] is not None else ""
    return f"{entry['name']:<14}{rows:<18}{entry['licence']:<14}{chance}{entry['summary']}"


def _shown(found: dict[str, Any]) -> str:
    rows = ", ".join(f"{count} {split}" for split, count in found["rows"].items())
    lines = [f"{found['name']}: {found['summary']} ({rows})"]
    for sample in found["samples"]:
        verdict = sample["verdict"]
        lines += ["", f"prompt   {_indented(sample['prompt'])}", f"gold     {_indented(sample['gold'])}"]
        lines += [f"verdict  score {verdict['score']}, {verdict['reason']}"]
    return "\n".join(lines)


def _indented(text: str) -> str:
    return text.replace("\n", "\n         ")
