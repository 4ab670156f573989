"""`factory ls`: what is in the store."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli._options import emit, json_option, store_option


@click.command()
@click.option(
    "--kind",
    type=click.Choice(["base", "adapter", "merge", "model", "cell", "search"]),
    help="Only this kind; cells are counted, not listed, unless asked for.",
)
@store_option
@json_option
def command(*, kind: str | None, store: Path, json: bool) -> None:
    """List what is in the store, by full name: BASE/KIND:NAME#SEED.

    \b
    Examples:
      factory ls
      factory ls --kind cell --json
    """
    from factory.engine.inventory import inventory, readable
    from factory.store.store import Store

    entries = inventory(Store(store), kind)
    lines = [
        f"{e['title']:<44} {e['key'][:8]}  {readable(e['bytes']):>8}  {e.get('created', '')[:10]:<10}  "
        f"{e.get('summary', e['state'])}"
        for e in entries
        if kind == "cell" or e["kind"] != "cell"
    ]
    cells = sum(e["kind"] == "cell" for e in entries)
    if cells and kind is None:
        lines.append(f"and {cells} cells (factory ls --kind cell)")
    empty = f"nothing in {store} yet; 'factory run studies/embedded.yaml' fills it"
    emit(entries, json, "\n".join(lines) or empty)
