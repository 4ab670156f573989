"""What goes where: the variants and bases of a push, and each one's folder, put together and looked through."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from factory.core.atomic import clear_os_errors, read_json
from factory.core.errors import BadInput, WorkFailed
from factory.core.hashing import key_of
from factory.hub.assemble import Assembled, Target, assemble, assemble_base
from factory.hub.bases import BaseHome, config_folder, home_of_base, named_base, tokenizer_files
from factory.hub.check import check_loads_whole
from factory.hub.repository import Remote, Say
from factory.hub.secrets import refuse, scan
from factory.store.ref import Ref
from factory.store.store import ORIGIN, Store


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


def item_of(store: Store, ref: Ref, repo: str, options: Options) -> Item:
    """A variant, or a base, with the repository it goes to."""
    if ref.kind == "base":
        return Item(ref, repo)
    return Item(ref, repo, home_of_base(store, ref, store.card(ref), options.base))


def bases_to_push(items: Sequence[Item], options: Options) -> list[Item]:
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
def staging_area(store: Store, repos: Sequence[str]) -> Iterator[Path]:
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


def stage(
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
