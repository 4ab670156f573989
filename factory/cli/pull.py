"""`factory pull`: a variant from the Hub into the store."""

from __future__ import annotations

from pathlib import Path

import click

from factory.cli._options import emit, json_option, store_option


@click.command()
@click.argument("repo", metavar="REPO[@REV]")
@click.option("--name", metavar="NAME", help="In the store, for an adapter made elsewhere; default: its repository's.")
@store_option
@json_option
def command(*, repo: str, name: str | None, store: Path, json: bool) -> None:
    """Download REPO from the Hugging Face Hub, compare every hash and key, and take it into the store.

    What `factory push` sent comes back with its name, content key and history. Of an adapter made elsewhere the card
    says what is not known.

    \b
    Examples:
      factory pull me/math-lora
      factory pull someone/their-lora@v1.0 --name theirs
    """
    from factory.hub.pull import pull
    from factory.store.store import Store

    result = pull(Store(store), repo, lambda text: click.echo(text, err=True), name)
    lines = [
        f"{result['title']} {'taken in' if result['new'] else 'was here already'}: {result['path']}",
        f"from {result['repo']} at {result['commit'][:12]}, content key {result['key']}; checked: {result['checked']}",
    ]
    if result["base"]:
        lines.append(f"its base: {result['base']}")
    if result["unknown"]:
        lines.append(f"not known: {', '.join(result['unknown'])}")
    emit(result, json, "\n".join(lines))
