"""Push: every check first, then the base if it has to go, then each variant with one commit, the collection last."""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from factory.core.atomic import TEMPORARY, clear_os_errors, publish_folder
from factory.core.errors import BadInput, UnknownName, WorkFailed
from factory.core.recipes import recipe_names
from factory.hub.bases import named_base
from factory.hub.repository import Difference, Remote, Say, check_name, check_target, compare, look, whoami
from factory.hub.send import group, send
from factory.hub.staging import Item, Options, bases_to_push, item_of, stage, staging_area
from factory.store.fetch import snapshot
from factory.store.find import VARIANT_KINDS, find
from factory.store.ref import Ref
from factory.store.store import Store

SHOWN = (".md", ".json", ".yaml")
_BRANCH = re.compile(r"(?!.*(\.\.|//))[\w][\w./-]*[\w-]|\w")
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def find_finished(store: Store, text: str) -> Ref:
    """A stored variant, or a base, by name.

    Raises:
        UnknownName: there is none.
        BadInput: it is a recipe that has not been made, or not to the end.
    """
    try:
        return find(store, text, kinds=("base", *VARIANT_KINDS))
    except UnknownName:
        name = text.rpartition(":")[2].partition("#")[0]
        if name in recipe_names("adapter recipe"):
            raise BadInput(
                f"'{text}' is not finished: nothing of that name in store {store.root}; 'factory train {name}' makes it"
            ) from None
        raise


def push(store: Store, variants: Mapping[Ref, str], options: Options, say: Say) -> dict[str, Any]:
    """Push variants, each to a repository of its own.

    Args:
        variants: repository by variant, in the order of pushing: parents before merges.
        say: told of what goes on.

    Returns:
        For each repository what was done, or for a dry run what would be; the warnings; the collection's slug.

    Raises:
        BadInput: something must not, or cannot, be pushed; nothing has been created then.
        WorkFailed: the Hub failed; the same command goes on from there.
    """
    _check_options(variants, options)
    online = _online(options)
    items = [item_of(store, ref, repo, options) for ref, repo in variants.items()]
    bases = bases_to_push(items, options)
    everything = [*bases, *items]
    # A base that is not on the Hub is said before a token is asked for: it needs no network to be known.
    for item in items:
        if item.home and item.base_item is None and item.home.repo is None:
            named_base(item.home, item.ref.title if item.ref else "")
    if online and not options.dry_run:
        whoami()
    for item in everything:
        if online:
            item.remote = look(item.repo, options.revision if item in items else None, say)
            check_target(item.remote, item.ref.kind if item.ref else "base", public=options.public, say=say)
    with staging_area(store, [item.repo for item in everything]) as area:
        for place, item in enumerate(everything):
            stage(store, item, everything, area / str(place), options, online, say)
        results = (
            _preview(store, items, bases, options) if options.dry_run else _send(store, items, bases, options, say)
        )
    warnings = list(dict.fromkeys(text for item in everything if item.assembled for text in item.assembled.warnings))
    if not online:
        warnings.append("the Hub was not asked (HF_HUB_OFFLINE): what is there and the base's commit are not known")
    warnings += [
        f"'{item.repo}' is private and stays so, --public is for new ones; 'hf repos settings {item.repo} --public' "
        "opens it"
        for item in everything
        if options.public and item.remote and item.remote.private
    ]
    slug = None
    if options.collection and not options.dry_run:
        notes = {item.repo: f"{item.ref.kind} {item.ref.name}" if item.ref else "base" for item in everything}
        slug = group(options.collection, notes, public=options.public, say=say)
    return {"dry_run": options.dry_run, "repositories": results, "warnings": warnings, "collection": slug}


def _check_options(variants: Mapping[Ref, str], options: Options) -> None:
    for repo in variants.values():
        check_name(repo, f"--repo {repo}")
    if len(set(variants.values())) < len(variants):
        raise BadInput("two variants would go to one repository; name repositories apart")
    if options.with_base:
        check_name(options.with_base, f"--with-base {options.with_base}")
        if options.with_base in variants.values():
            raise BadInput(f"--with-base {options.with_base}: is the variant's own repository; name another one")
    if options.create_pr and options.revision:
        raise BadInput("--create-pr opens a pull request against the main branch; leave --revision out")
    if options.revision and not _BRANCH.fullmatch(options.revision):
        raise BadInput(
            f"--revision '{options.revision}': expected a branch's name, letters, digits, '.', '_', '-', '/'"
        )
    if options.licence and not _LICENCE.fullmatch(options.licence):
        raise BadInput(
            f"--license '{options.licence}': expected the Hub's identifier, as apache-2.0, cc-by-4.0 or other"
        )
    if options.out is not None and options.out.exists():
        raise BadInput(f"--out {options.out}: is there already; name a new folder")
    if options.out is not None and (not options.dry_run or len(variants) > 1):
        raise BadInput("--out is for --dry-run of one variant")


def _online(options: Options) -> bool:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if HF_HUB_OFFLINE and not options.dry_run:
        raise WorkFailed("HF_HUB_OFFLINE is set, so nothing can be pushed; unset it, or look with --dry-run")
    return not HF_HUB_OFFLINE


def _send(
    store: Store, items: Sequence[Item], bases: Sequence[Item], options: Options, say: Say
) -> list[dict[str, Any]]:
    results = []
    commits: dict[str, str | None] = {}
    everything = [*bases, *items]
    for item in everything:
        if item.base_item is not None and item.named and commits.get(item.base_item.repo) != item.named["revision"]:
            item.base_item.remote = look(item.base_item.repo, None, say)
            stage(store, item, everything, item.folder.with_name(f"{item.folder.name}-named"), options, True, say)
        say(f"{item.repo}: sending")
        plain = item in bases
        message = f"{item.ref.kind} {item.ref.name}, content key {item.ref.key}" if item.ref else "base model"
        sent = send(
            item.folder, item.repo, message,
            public=options.public, say=say,
            revision=None if plain else options.revision, create_pr=options.create_pr and not plain,
        )  # fmt: skip
        commits[item.repo] = sent.commit
        results.append(
            {**_told(item), "url": sent.url, "commit": sent.commit, "pushed": sent.made, **_lists(sent.difference)}
        )
    return results


def _preview(store: Store, items: Sequence[Item], bases: Sequence[Item], options: Options) -> list[dict[str, Any]]:
    """Keep the folders where they can be looked at, and say how they differ from what is there."""
    results = []
    for item in [*bases, *items]:
        difference = compare(item.remote or Remote(item.repo), item.folder)
        texts = _text_changes(item, difference)
        place = options.out if options.out and item in items else store.root / "hub" / item.repo.replace("/", "--")
        beside = place.parent / f"{TEMPORARY}{os.getpid()}-{place.name}"  # --out may be on another file system
        with clear_os_errors(place, "--out"):
            shutil.copytree(item.folder, beside)
        publish_folder(beside, place, replace=True)
        results.append({**_told(item), "folder": str(place), "pushed": False, **_lists(difference), "changes": texts})
    return results


def _text_changes(item: Item, difference: Difference) -> str:
    """A unified diff of the small text files that would change."""
    names = [name for name in difference.changed if name.endswith(SHOWN)]
    if not names or item.remote is None:
        return ""
    there = snapshot(f"{item.repo}@{item.remote.head}", names)
    lines: list[str] = []
    for name in names:
        old, new = ((folder / name).read_text().splitlines() for folder in (there, item.folder))
        lines += difflib.unified_diff(old, new, f"{item.repo}/{name}", f"new/{name}", lineterm="", n=1)
    return "\n".join(lines)


def _told(item: Item) -> dict[str, Any]:
    ref = item.ref
    return {"repo": item.repo, "variant": ref.title if ref else "base", "key": ref.key if ref else None}


def _lists(difference: Difference) -> dict[str, Any]:
    return {
        "added": difference.added,
        "changed": difference.changed,
        "removed": difference.removed,
        "same": difference.same,
    }
