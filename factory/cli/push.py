"""`factory push`: variants to the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import emit, json_option, store_option


@click.command()
@click.argument("variant", required=False)
@click.option("--repo", metavar="USER/NAME", help="Where it goes; with --study the start of every name.")
@click.option("--study", metavar="NAME", help="Push all of a study that has run, in a collection.")
@click.option("--public", is_flag=True, help="For all to see; without it a new repository is private.")
@click.option("--revision", metavar="BRANCH", help="Push to this branch, made if needed.")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead of changing the main branch.")
@click.option("--collection", metavar="TITLE", help="Put it into this collection of yours, made if needed.")
@click.option("--with-base", metavar="USER/NAME", help="Push the base there first, and name it as the base.")
@click.option(
    "--base",
    metavar="B",
    help="The base: a hub id[@revision] that has it already, or a folder where the store has not.",
)
@click.option("--license", "licence", metavar="ID", help="Of what is published (apache-2.0); default: the base's.")
@click.option(
    "--template",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Of the README; may extend model_card.md.j2 and override its blocks.",
)
@click.option(
    "--dry-run", is_flag=True, help="Write the exact folder, show how it differs from what is there, and stop."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where --dry-run writes; a new folder.")
@store_option
@json_option
def command(
    *, variant: str | None, repo: str | None, study: str | None, public: bool, revision: str | None, create_pr: bool,
    collection: str | None, with_base: str | None, base: str | None, licence: str | None, template: Path | None,
    dry_run: bool, out: Path | None, store: Path, json: bool,
) -> None:  # fmt: skip
    """Push VARIANT, or all of a study, to the Hugging Face Hub, with its history, results and a model card.

    It is loaded and searched for tokens, paths and names of this machine before anything is sent. A push is one commit;
    one that was cut off goes on when it is run again; what has not changed makes no commit.

    \b
    Examples:
      factory push adapter:math --repo me/math-lora --with-base me/tiny-base
      factory push merge:ties --repo me/merged --dry-run
      factory push --study embedded --repo me/embedded --public
    """
    from factory.core.errors import BadInput
    from factory.hub.push import find_finished, push
    from factory.hub.staging import Options
    from factory.hub.study import variants_of_study
    from factory.store.store import Store

    if (variant is None) == (study is None):
        raise BadInput("name one VARIANT, or a study with --study NAME")
    place = Store(store)
    if study is not None:
        from factory.hub.repository import whoami

        prefix = repo or f"{whoami()}/{study}"
        variants = variants_of_study(place, study, prefix)
        if with_base:
            variants = {ref: name for ref, name in variants.items() if ref.kind != "base"}
        collection = collection or study
    else:
        if repo is None:
            raise BadInput("--repo USER/NAME says where it goes")
        variants = {find_finished(place, str(variant)): repo}
    options = Options(
        public=public, revision=revision, create_pr=create_pr, collection=collection, with_base=with_base, base=base,
        licence=licence, template=template, dry_run=dry_run, out=out,
    )  # fmt: skip
    result = push(place, variants, options, lambda text: click.echo(text, err=True))
    for warning in result["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    emit(result, json, _text(result))


def _text(result: dict[str, Any]) -> str:
    lines = []
    for one in result["repositories"]:
        counts = ", ".join(f"{len(one[kind])} {kind}" for kind in ("added", "changed", "removed", "same") if one[kind])
        if result["dry_run"]:
            lines.append(f"{one['variant']} would go to {one['repo']}: {counts}; the folder is {one['folder']}")
            for sign, kind in (("+", "added"), ("~", "changed"), ("-", "removed")):
                lines += [f"  {sign} {name}" for name in one[kind]]
            lines += [one["changes"]] if one["changes"] else []
        elif one["pushed"]:
            lines.append(f"{one['variant']}: {one['url']} at {one['commit'][:12]} ({counts})")
        else:
            lines.append(f"{one['variant']}: {one['url']} at {one['commit'][:12]}, unchanged")
    if result["collection"]:
        lines.append(f"collection {result['collection']}")
    return "\n".join(lines)
