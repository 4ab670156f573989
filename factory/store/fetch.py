"""Models and adapters by hub id, through huggingface_hub's own cache; every file's hash is compared on arrival."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from factory.core.errors import BadInput, WorkFailed
from factory.core.hashing import file_digest
from factory.store.hub_errors import patiently

HUB_ID = re.compile(r"^[\w][\w.-]*/[\w][\w.-]*(@[\w./-]+)?$")
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "card.json")
_MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
_SHA256_LENGTH, _SHA1_LENGTH = 64, 40


def adapter_folder(hub_id: str) -> Path:
    """The local snapshot of an adapter, `user/name[@revision]`; weights and configuration only.

    Raises:
        BadInput: no such repository or revision.
        WorkFailed: the Hub cannot be reached, or what it sends is not what it says it sends.
    """
    return snapshot(hub_id, _ADAPTER_FILES)


def base_folder(text: str) -> Path:
    """A base model's folder: itself, or the local snapshot of `user/name[@revision]`.

    Raises:
        BadInput: neither a folder nor a repository.
        WorkFailed: as `adapter_folder`.
    """
    if Path(text).is_dir():
        return Path(text).resolve()
    if not HUB_ID.match(text):
        raise BadInput(f"base '{text}': no such folder, and not a hub id (user/name)")
    return snapshot(text, _MODEL_FILES)


def snapshot(hub_id: str, patterns: Sequence[str] | None = None) -> Path:
    """The local snapshot of a repository, `user/name[@revision]`; its last part is the commit.

    A file that is not what its hash says is removed from the cache and asked for once more.

    Args:
        hub_id: of a model repository.
        patterns: of the files wanted; None for all.

    Raises:
        BadInput: no such repository or revision.
        WorkFailed: as `adapter_folder`.
    """
    folder = patiently(lambda: _download(hub_id, patterns), hub_id)
    damaged = list(_damaged(folder))
    if not damaged:
        return folder
    for path in damaged:
        _forget(path)
    folder = patiently(lambda: _download(hub_id, patterns), hub_id)
    again = list(_damaged(folder))
    for path in again:
        _forget(path)
    # Without a network nothing brings a forgotten file back, and huggingface_hub gives the folder as it is.
    lost = [*again, *(path for path in damaged if path not in again and not path.is_file())]
    if lost:
        names = ", ".join(str(path.relative_to(folder)) for path in sorted(lost))
        raise WorkFailed(f"'{hub_id}': {names} arrived with another hash than the Hub gives; run again")
    return folder


def _download(hub_id: str, patterns: Sequence[str] | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    name, _, revision = hub_id.partition("@")
    allowed = list(patterns) if patterns is not None else None
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=allowed))
    except RepositoryNotFoundError as error:
        raise BadInput(
            f"'{hub_id}' is neither in the store, nor a folder, nor on the Hub; a private one needs HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise BadInput(f"'{hub_id}': '{name}' on the Hub has no revision '{revision}'") from error


def _damaged(folder: Path) -> Iterator[Path]:
    """Files of a snapshot whose content is not what its name in the cache says.

    A snapshot's file is a link to a blob that is named by the Hub's entity tag: the SHA-256 of a large file, git's
    SHA-1 of a small one. (The blob may be a link itself, into a store that Xet files share.) Where the file system has
    no links there are no such names, and nothing can be said.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and path.is_file():
            name = path.readlink().name
            digest = {_SHA256_LENGTH: file_digest, _SHA1_LENGTH: git_digest}.get(len(name))
            if digest is not None and digest(path) != name:
                yield path


def _forget(path: Path) -> None:
    """Remove a snapshot's file from the cache, so that it is downloaded again."""
    for place in (path.resolve(), path.parent / path.readlink(), path):
        place.unlink(missing_ok=True)


def same_content(path: Path, digest: str | None) -> bool:
    """Whether a file is what the Hub's hash says: SHA-256 of a large file, git's SHA-1 of a small one."""
    return digest == (git_digest(path) if digest and len(digest) == _SHA1_LENGTH else file_digest(path))


def git_digest(path: Path) -> str:
    """Git's SHA-1 (hex) of a file as a blob."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
