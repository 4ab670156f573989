"""`factory rm`: take something out of the store."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli._options import emit, json_option, store_option


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also when other things were made from it.")
@store_option
@json_option
def command(*, name: str, force: bool, store: Path, json: bool) -> None:
    """Remove one thing from the store: a variant, a base, or a cell by its full name. Works on damaged things too.

    \b
    Examples:
      factory rm adapter:math --force
      factory rm embedded-s0/cell:base-on-tiny_math#0
    """
    from factory.core.errors import BadInput
    from factory.engine.inventory import dependents
    from factory.store.find import find_any
    from factory.store.store import Store

    place = Store(store)
    ref = find_any(place, name)
    others = dependents(place, ref)
    if others and not force:
        shown = ", ".join(other.title for other in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise BadInput(f"{ref.title}: {shown}{more} were made from it; --force removes it and leaves them")
    path = place.remove(ref)
    emit({"removed": ref.title, "path": str(path)}, json, f"removed {ref.title}")
