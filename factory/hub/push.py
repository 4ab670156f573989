"""Push: every check first, then the base if it has to go, then each variant with one commit, the collection last."""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from factory.core.atomic import TEMPORARY, clear_os_errors, publish_folder, read_json
from factory.core.errors import BadInput, UnknownName, WorkFailed
from factory.core.hashing import key_of
from factory.core.recipes import recipe_names
from factory.hub.assemble import Assembled, Target, assemble, assemble_base
from factory.hub.bases import BaseHome, config_folder, home_of_base, named_base, tokenizer_files
from factory.hub.check import check_loads_whole
from factory.hub.repository import (
    Difference,
    Remote,
    Say,
    check_name,
    check_target,
    compare,
    group,
    look,
    send,
    whoami,
)
from factory.hub.secrets import refuse, scan
from factory.store.fetch import snapshot
from factory.store.find import VARIANT_KINDS, find
from factory.store.ref import Ref
from factory.store.store import ORIGIN, Store

SHOWN = (".md", ".json", ".yaml")
_BRANCH = re.compile(r"(?!.*(\.\.|//))[\w][\w./-]*[\w-]|\w")
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True, slots=True)
class Options:
    """How to push; the names are those of the command's options."""

    public: bool = False
    revision: str | None = None
    create_pr: bool = False
    collection: str | None = None
    with_base: str | None = None
    base: str | None = None
    licence: str | None = None
    template: Path | None = None
    dry_run: bool = False
    out: Path | None = None


@dataclass(slots=True)
class Item:
    """One repository to be: a variant or a base, where it goes, and what it became on the way."""

    ref: Ref | None
    repo: str
    home: BaseHome | None = None
    base_item: Item | None = None
    folder: Path = field(default_factory=Path)
    named: dict[str, Any] | None = None
    assembled: Assembled | None = None
    remote: Remote | None = None


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
    items = [_item(store, ref, repo, options) for ref, repo in variants.items()]
    bases = _bases_to_push(items, options)
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
    with _staging(store, [item.repo for item in everything]) as area:
        for place, item in enumerate(everything):
            _stage(store, item, everything, area / str(place), options, online, say)
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


def _item(store: Store, ref: Ref, repo: str, options: Options) -> Item:
    if ref.kind == "base":
        return Item(ref, repo)
    return Item(ref, repo, home_of_base(store, ref, store.card(ref), options.base))


def _bases_to_push(items: Sequence[Item], options: Options) -> list[Item]:
    """The bases that go first; items that are bases themselves serve as well."""
    if options.with_base is None:
        for item in items:
            for other in items:
                if item.home and other.ref and other.ref == item.home.ref:
                    item.base_item = other
        return []
    found: list[Item] = []
    for item in items:
        if item.home is None:
            raise BadInput(f"--with-base: {item.ref.title if item.ref else item.repo} is a base itself")
        if item.home.folder is None:
            raise BadInput(
                f"--with-base: the base '{item.home.repo}' is not on this machine; it is named as it is on the Hub, so "
                "leave --with-base out"
            )
        if found and found[0].home and found[0].home.folder != item.home.folder:
            raise BadInput("--with-base: the variants are of several bases; push them apart")
        if not found:
            found.append(Item(item.home.ref, options.with_base, item.home))
        item.base_item = found[0]
    return found


@contextmanager
def _staging(store: Store, repos: Sequence[str]) -> Iterator[Path]:
    """A folder in the store's work area, for one push to these repositories at a time; a killed one's is cleared."""
    key = key_of("push", *repos)
    area, locks = store.root / ".work" / f"push-{key}", store.root / ".locks"
    with clear_os_errors(store.root):
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{key}.lock"):
            shutil.rmtree(area, ignore_errors=True)
            try:
                yield area
            finally:
                shutil.rmtree(area, ignore_errors=True)


def _stage(
    store: Store, item: Item, everything: Sequence[Item], folder: Path, options: Options, online: bool, say: Say
) -> None:
    """Assemble one folder and look through it; again later where its base has got another commit: texts alone then."""
    before = item.folder if item.assembled else None
    what = item.ref.title if item.ref else item.repo
    say(f"{what}: putting the folder together")
    item.folder, is_base = folder, item.home is None or item.repo == options.with_base
    if is_base and item.ref is None and item.home and item.home.folder:
        item.assembled = assemble_base(item.home.folder, item.repo, options.licence, folder)
    elif item.ref is not None:
        item.named = None if is_base else _named(item, online, say)
        parents = _homes_of_parents(store, store.card(item.ref))
        parents |= {other.ref.key: other.repo for other in everything if other.ref and other is not item}
        # A base that only comes along keeps its own README: else whoever pushed it would find another one.
        template = None if item.repo == options.with_base else options.template
        tokenizer = tokenizer_files(item.home, item.named) if item.home and not is_base else {}
        target = Target(item.repo, item.named, options.licence, template, parents, tokenizer)
        item.assembled = assemble(store, item.ref, target, folder, before)
    if item.assembled is None:
        raise WorkFailed(f"{what}: there is nothing to put together")
    refuse(scan(item.assembled.folder, item.assembled.public))
    if before is None:
        base = config_folder(item.home, item.named if online else None) if item.home and not is_base else None
        check_loads_whole(item.assembled.folder, base)


def _homes_of_parents(store: Store, card: Mapping[str, Any]) -> dict[str, str]:
    """Repositories of parents that were pulled, by key."""
    parents = [ref for ref in store.refs() if ref.key in (card.get("parents") or [])]
    origins = {ref.key: store.path(ref) / ORIGIN for ref in parents}
    return {key: str(read_json(path)["repo"]) for key, path in origins.items() if path.is_file()}


def _named(item: Item, online: bool, say: Say) -> dict[str, Any]:
    """The base as the adapter will name it."""
    if item.base_item is not None:
        licence = "apache-2.0" if item.base_item.ref and item.base_item.ref.name == "embedded" else None
        head = item.base_item.remote.head if item.base_item.remote else None
        return {"repo": item.base_item.repo, "revision": head, "licence": licence}
    if item.home is None:
        raise WorkFailed(f"{item.repo}: a base names no base")
    if not online:
        return {"repo": item.home.repo, "revision": item.home.revision, "licence": None}
    return named_base(item.home, item.ref.title if item.ref else item.repo, say)


def _send(
    store: Store, items: Sequence[Item], bases: Sequence[Item], options: Options, say: Say
) -> list[dict[str, Any]]:
    results = []
    commits: dict[str, str | None] = {}
    everything = [*bases, *items]
    for item in everything:
        if item.base_item is not None and item.named and commits.get(item.base_item.repo) != item.named["revision"]:
            item.base_item.remote = look(item.base_item.repo, None, say)
            _stage(store, item, everything, item.folder.with_name(f"{item.folder.name}-named"), options, True, say)
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
