"""`factory report`: the report of a study that has run, rebuilt from the store."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli._options import emit, json_option, store_option


@click.command(name="report")
@click.argument("study", required=False)
@store_option
@json_option
def command(study: str | None, store: Path, json: bool) -> None:
    """Rebuild the report of STUDY (default: the one run last), print its matrix and where the page is.

    Reads what is in the store and loads no model; a report that would not change is not written again.

    Example:

        factory report multitask_rlvr
    """
    from factory.report.rebuild import rebuild
    from factory.store.store import Store

    rebuilt = rebuild(Store(store), study)
    emit(rebuilt.result, json, rebuilt.text)
