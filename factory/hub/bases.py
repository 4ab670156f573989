"""The base that a published adapter names: one the Hub has, or one that is pushed first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.hashing import file_digest
from factory.hub.repository import Say, look
from factory.models.bases import outside_base
from factory.store.fetch import HUB_ID, snapshot
from factory.store.ref import Ref
from factory.store.store import Store

TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
    "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BaseHome:
    """Where a variant's base is.

    Attributes:
        ref: in the store; None where it is not.
        folder: on this machine; None where it is only on the Hub.
        repo, revision: on the Hub, as far as the card tells.
    """

    ref: Ref | None
    folder: Path | None
    repo: str | None
    revision: str | None


def home_of_base(store: Store, ref: Ref, card: Mapping[str, Any], asked: str | None) -> BaseHome:
    """Find the base a variant was made on.

    Args:
        asked: `--base`: a folder, or a hub id.

    Raises:
        BadInput: the folder asked for is another base, or the card does not tell the base.
    """
    told = card.get("base") or {}
    named, _, at = asked.partition("@") if asked and not Path(asked).expanduser().is_dir() else ("", "", "")
    revision = at or None if named else told.get("revision")
    for made in store.refs("base"):
        if made.key == told.get("hash"):
            # What was pulled keeps the commit it names: its base's README may have changed since.
            return BaseHome(made, store.path(made), named or told.get("repo"), revision)
    if asked and not named:
        found = outside_base(asked)
        if told.get("hash") not in (None, found.hash):
            raise BadInput(f"--base {asked}: {ref.title} was made on another base ({told.get('label')})")
        return BaseHome(None, Path(found.path), None, None)
    path = told.get("path")
    if path and Path(path).is_dir():
        return BaseHome(None, Path(path), named or None, revision)
    label = str(told.get("label") or "")
    of_path = path if path and not Path(path).is_absolute() else None
    of_label = label.replace("--", "/", 1) if "--" in label else None
    repo = str(named or told.get("repo") or of_path or of_label or "")
    if HUB_ID.match(repo):
        return BaseHome(None, None, repo, revision)
    raise BadInput(
        f"{ref.title} was made on base {label or path or 'unknown'}, which is not in the store; name it with --base, a "
        "folder or a hub id"
    )


def named_base(home: BaseHome, title: str, say: Say | None = None) -> dict[str, Any]:
    """`repo`, `revision`, `licence` and the hashes of `files` of a base that the Hub has.

    Raises:
        BadInput: the Hub does not have it.
    """
    remedy = "--with-base USER/NAME pushes it first and names it, --base USER/NAME names one that is there"
    if home.repo is None:
        where = home.ref.title if home.ref else home.folder.name if home.folder else "unknown"
        raise BadInput(f"{title} was made on base {where}, which is on this machine and not on the Hub; {remedy}")
    remote = look(home.repo, home.revision, say)
    if not remote.branch:
        at = f" at revision {home.revision}" if home.revision else ""
        raise BadInput(
            f"the base of {title}, '{home.repo}'{at}, is not on the Hub, or the token may not see it; {remedy}"
        )
    for path in sorted(home.folder.glob("*.safetensors")) if home.folder else []:
        if remote.files.get(path.name) != file_digest(path):
            raise BadInput(f"'{home.repo}' on the Hub has other weights than the base of {title}; {remedy}")
    return {"repo": home.repo, "revision": remote.head, "licence": remote.licence, "files": remote.files}


def tokenizer_files(home: BaseHome, named: Mapping[str, Any] | None) -> dict[str, str]:
    """Hashes of the base's tokenizer, by file; empty where nothing is known."""
    if home.folder is not None:
        return {path.name: file_digest(path) for path in home.folder.iterdir() if path.name in TOKENIZER}
    files = (named or {}).get("files") or {}
    return {name: digest for name, digest in files.items() if name in TOKENIZER}


def config_folder(home: BaseHome, named: Mapping[str, Any] | None) -> Path | None:
    """A folder with the base's `config.json`, from the Hub if need be; None where nothing is known."""
    if home.folder is not None:
        return home.folder
    if named is None:
        return None
    return snapshot(f"{named['repo']}@{named['revision']}", ("config.json",))
