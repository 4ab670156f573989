"""`factory show`: one thing's whole history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import emit, json_option, store_option


@click.command()
@click.argument("variant")
@store_option
@json_option
def command(*, variant: str, store: Path, json: bool) -> None:
    """Show where VARIANT came from: recipe, data, cost, versions, and its parents up to the base.

    \b
    Examples:
      factory show adapter:math
      factory show merge:linear --json
    """
    from factory.engine.inventory import history
    from factory.store.find import find
    from factory.store.store import Store

    place = Store(store)
    kinds = ("base", "adapter", "merge", "model")
    found = history(place, find(place, variant, kinds=kinds))
    emit(found, json, "\n".join(_lines(found, 0)))


def _lines(found: dict[str, Any], depth: int) -> list[str]:
    import yaml

    pad = "  " * depth
    if found.get("missing"):
        return [f"{pad}{found['key']} (not in this store)"]
    card = dict(found["card"])
    hidden = ("ref", "files", "parents", "inputs")
    short = {key: value for key, value in card.items() if key not in hidden and value not in (None, {}, [])}
    if depth:
        # Of a parent only what tells it apart; `factory show PARENT` has the rest.
        short = {key: short[key] for key in ("recipe", "seed", "created") if key in short}
    lines = [f"{pad}{found['title']}", f"{pad}  {found['path']}"]
    text = yaml.safe_dump(short, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    lines += [f"{pad}  {line}" for line in text.rstrip().split("\n")]
    if not depth:
        lines += [f"  files: {', '.join(card['files'])}"]
    if found["parents"]:
        lines += ["", f"{pad}made from"]
        for parent in found["parents"]:
            lines += _lines(parent, depth + 1)
    return lines
