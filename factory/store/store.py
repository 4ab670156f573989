"""The store: finished folders, each with a card, and the work that leads to them.

A thing is finished when its folder stands under its final name, which happens by one rename. Work in progress lives in
`.work/<key>/` and is never read as a result; it may hold state (checkpoints) from which the same job goes on. One lock
a key, held by the operating system for the life of the process, keeps two processes from doing the same work.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from factory.core.atomic import clear_os_errors, publish_folder, write_json
from factory.core.errors import CorruptFile, StoreError
from factory.core.hashing import file_digest
from factory.core.provenance import Meter, code_revision, hardware, now, versions
from factory.store.ref import KINDS, Ref

CARD = "card.json"
ORIGIN = "hub.json"
"""Beside the card of what was pulled: from where and when; no part of the thing itself."""
Make = Callable[[Path, Path], dict[str, Any]]


class Store:
    """A folder of finished things.

    Args:
        root: made when something is first written.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def path(self, ref: Ref) -> Path:
        """Where the finished thing is, or will be."""
        return self.root / ref.folder

    def work(self, ref: Ref) -> Path:
        """Where the job that makes it keeps resumable state."""
        return self.root / ".work" / ref.key / "state"

    def has(self, ref: Ref) -> bool:
        """Whether it is finished.

        Raises:
            CorruptFile: it is there but a file is missing or differs in size from what its card says.
            StoreError: the store may not be looked into.
        """
        with clear_os_errors(self.root):
            if not self.path(ref).is_dir():
                return False
            self.card(ref)
        return True

    def card(self, ref: Ref) -> dict[str, Any]:
        """The finished thing's card, after comparing the sizes of its files with it.

        Raises:
            StoreError: it is not finished.
            CorruptFile: its card or a file is missing or of another size, or the card is another thing's.
        """
        path = self.path(ref)
        if not path.is_dir():
            raise StoreError(f"{ref.title} is not in the store {self.root}")
        card = check_sizes(path)
        if card["ref"] != ref.to_json():
            raise CorruptFile(f"{path / CARD}: belongs to another thing; {_remedy(path)}")
        return card

    def open(self, ref: Ref) -> Path:
        """The finished thing's folder, after comparing every file's hash with its card.

        Raises:
            StoreError: it is not finished.
            CorruptFile: a file's content is not what the card says.
        """
        self.card(ref)
        check_hashes(self.path(ref))
        return self.path(ref)

    def build(self, ref: Ref, make: Make) -> Path:
        """Make a thing unless it is finished already.

        Args:
            ref: what it is.
            make: called as `make(out, state)`; fills the empty folder `out`, may keep what it needs to go on after a
                kill in `state`, and returns its part of the card.

        Raises:
            StoreError: the store cannot be written.
        """

        def fill(out: Path, state: Path) -> None:
            meter = Meter()
            fields = make(out, state)
            write_json(out / CARD, _card(ref, fields, meter, out))

        return self._publish(ref, fill)

    def take_in(self, ref: Ref, fill: Callable[[Path], None]) -> Path:
        """Keep a thing that was finished elsewhere, with the card it brings, unless it is here already.

        Args:
            ref: what its card says it is.
            fill: called with the empty folder; copies every file there, the card too.

        Raises:
            CorruptFile: the card is another thing's, or a file is not what the card says.
            StoreError: the store cannot be written.
        """

        def checked(out: Path, _state: Path) -> None:
            fill(out)
            if check_sizes(out)["ref"] != ref.to_json():
                raise CorruptFile(f"{out / CARD}: belongs to another thing than {ref.title}")
            check_hashes(out)

        return self._publish(ref, checked)

    def _publish(self, ref: Ref, fill: Callable[[Path, Path], None]) -> Path:
        """Fill a folder under the key's lock and rename it into place, unless it is there."""
        area = self.root / ".work" / ref.key
        if self.has(ref) and not area.exists():
            return self.path(ref)  # nothing is written, so that a finished store may be read-only
        with clear_os_errors(self.root):
            area.mkdir(parents=True, exist_ok=True)
            locks = self.root / ".locks"
            locks.mkdir(exist_ok=True)
        with clear_os_errors(self.root), FileLock(locks / f"{ref.key}.lock"):
            if self.has(ref):
                shutil.rmtree(area, ignore_errors=True)
                return self.path(ref)
            out, state = area / "out", area / "state"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            state.mkdir(exist_ok=True)
            fill(out, state)
            publish_folder(out, self.path(ref))
            shutil.rmtree(area, ignore_errors=True)
        return self.path(ref)

    def refs(self, kind: str | None = None) -> Iterator[Ref]:
        """All things that stand under a final name, damaged ones too, in the order of their folders' names.

        Raises:
            StoreError: the store's folder is not one.
        """
        with clear_os_errors(self.root):
            if not self.root.exists():
                return
            if not self.root.is_dir():
                raise StoreError(f"{self.root}: is a file; --store takes a folder")
            for place in [kind] if kind else KINDS:
                for path in sorted(self.root.glob(f"*/{place}s/*")):
                    ref = Ref.of_folder(path)
                    if ref is not None and path.is_dir():
                        yield ref

    def remove(self, ref: Ref) -> Path:
        """Remove a finished thing: renamed away first, so that a kill leaves nothing that looks finished."""
        path = self.path(ref)
        with clear_os_errors(path):
            gone = self.root / ".work" / f"removed-{ref.key}-{os.getpid()}"
            gone.parent.mkdir(parents=True, exist_ok=True)
            path.rename(gone)
            shutil.rmtree(gone)
        shutil.rmtree(self.root / ".work" / ref.key, ignore_errors=True)
        return path


def read_card(path: Path) -> dict[str, Any]:
    """Read a `card.json`.

    Raises:
        CorruptFile: it is missing, or not a card.
    """
    if not path.is_file():
        raise CorruptFile(f"{path}: is missing; {_remedy(path.parent)}")
    try:
        card: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of the text's encoding, or of JSON
        raise CorruptFile(f"{path}: not valid JSON ({error}); {_remedy(path.parent)}") from error
    if not isinstance(card, dict) or "ref" not in card or not _is_list_of_files(card.get("files")):
        raise CorruptFile(f"{path}: not a card of this store; {_remedy(path.parent)}")
    return card


def _is_list_of_files(files: Any) -> bool:
    return isinstance(files, dict) and all(
        isinstance(file, dict) and {"bytes", "sha256"} <= file.keys() for file in files.values()
    )


def check_sizes(folder: Path) -> dict[str, Any]:
    """Compare the sizes of a finished folder's files with its card; gives the card."""
    card = read_card(folder / CARD)
    for name, expected in card["files"].items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != expected["bytes"]:
            got = "is missing" if size is None else f"has {size} bytes"
            raise CorruptFile(f"{path}: {got}, its card says {expected['bytes']} bytes; {_remedy(folder)}")
    return card


def check_hashes(folder: Path) -> None:
    """Compare every file of a finished folder with the hash on its card."""
    card = read_card(folder / CARD)
    for name, expected in card["files"].items():
        if file_digest(folder / name) != expected["sha256"]:
            raise CorruptFile(f"{folder / name}: its content is not what its card says; {_remedy(folder)}")


def _remedy(folder: Path) -> str:
    """What to do about a damaged folder; told by its name, since its card may be what is damaged."""
    ref, root = Ref.of_folder(folder), folder.parents[2] if len(folder.parents) > 2 else Path()
    if ref is None:
        return "remove its folder and run again"
    # With the key: several things may have one title, and only this one is to go.
    option = "" if root == Path("store") else f" --store {root}"
    return f"remove it with 'factory rm {ref.title}@{ref.key}{option} --force' and run again"


def _card(ref: Ref, fields: dict[str, Any], meter: Meter, out: Path) -> dict[str, Any]:
    cost = {**meter.read(), **fields.pop("cost", {})}
    files = {
        str(path.relative_to(out)): {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
    return {
        "ref": ref.to_json(),
        **fields,
        "cost": cost,
        "created": now(),
        "versions": versions(),
        "code": code_revision(),
        "hardware": hardware(),
        "files": files,
    }
