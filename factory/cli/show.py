"""`factory show`: one thing's whole history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import emit, json_option, store_option

WIDTH = 100


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
    from factory.store.find import find_any
    from factory.store.store import Store

    place = Store(store)
    found = history(place, find_any(place, variant))
    emit(found, json, "\n".join(_lines(found, 0, set())))


def _lines(found: dict[str, Any], depth: int, shown: set[str]) -> list[str]:
    pad = "  " * depth
    if found.get("missing") and "card" not in found:
        return [f"{pad}{found['key']} (not in this store)"]
    place = str(found.get("path", found.get("key")))
    if place in shown:
        return [f"{pad}{found['title']} (as above)"]
    shown.add(place)
    if found.get("missing"):
        lines = [f"{pad}{found['title']} (not in this store; as its child's card tells, content key {found['key']})"]
    else:
        lines = [f"{pad}{found['title']}", f"{pad}  {found['path']}"]
    if "pulled" in found:
        told = found["pulled"]
        lines.append(f"{pad}  pulled from {told['repo']} at {told['commit']}, {told['pulled']}")
    if "problem" in found:
        return [*lines, f"{pad}  damaged: {found['problem']}"]
    lines += [f"{pad}  {line}" for line in _text(found["card"], whole=not depth).split("\n")]
    if not depth:
        lines += [f"  files: {', '.join(found['card']['files'])}"]
        lines += _training(found)
    if found["parents"]:
        lines += ["", f"{pad}made from"]
        for parent in found["parents"]:
            lines += _lines(parent, depth + 1, shown)
    return lines


def _training(found: dict[str, Any]) -> list[str]:
    """How the last steps of an adapter's training went; [] of anything else."""
    from factory.core.atomic import read_jsonl
    from factory.engine.panel import WINDOW, explained, panel
    from factory.training.metrics import FILE

    path = Path(found["path"]) / FILE if "path" in found else None
    lines = read_jsonl(path) if path is not None and path.is_file() else []
    told = panel(lines, WIDTH)
    if not told:
        return []
    told = [f"training, means of the last {min(len(lines), WINDOW)} steps", *told, *explained(lines, WIDTH)]
    return ["", *(f"  {one}" for one in told)]


def _text(card: dict[str, Any], *, whole: bool) -> str:
    """A card as YAML: all but what is shown elsewhere, and what only `--json` has the room for."""
    import yaml

    from factory.core.cost_words import in_words

    hidden = {"ref", "files", "parents", "inputs", "lineage", "evaluation"}
    short = {key: value for key, value in card.items() if key not in hidden and value not in (None, {}, [])}
    if not whole:
        # Of a parent only what tells it apart; `factory show PARENT` has the rest.
        short = {key: short[key] for key in ("recipe", "seed", "created") if key in short}
    if "cost" in short:
        short["cost"] = in_words(short["cost"])
    if isinstance(short.get("merge"), dict):
        modules = short["merge"].get("per_module", {})
        short["merge"] = {**short["merge"], "per_module": f"{len(modules)} modules, see --json"}
    return yaml.safe_dump(short, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None).rstrip()
