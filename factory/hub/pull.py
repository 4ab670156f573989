"""Pull: a repository into the store, every hash and key compared, with its history or with what is not known of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from factory.core.atomic import read_json, write_json
from factory.core.errors import BadInput, CorruptFile
from factory.core.hashing import file_digest
from factory.core.provenance import now
from factory.hub.assemble import README
from factory.hub.check import check_adapter, check_model
from factory.merging.inputs import folder_key
from factory.store.factors import WEIGHTS
from factory.store.fetch import HUB_ID, snapshot
from factory.store.peft_config import CONFIG, read_config
from factory.store.ref import Ref
from factory.store.store import CARD, ORIGIN, Store, read_card

Say = Callable[[str], None]
UNKNOWN = ["recipe", "training data and its licence", "verifier", "seed", "cost", "code and package versions"]
_KINDS = ("base", "adapter", "merge", "model")
_FOREIGN = (CONFIG, WEIGHTS, README, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
            "chat_template.jinja", "added_tokens.json")  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,150}")
_KEY = re.compile(r"[0-9a-f]{8,64}")


def pull(store: Store, repo: str, say: Say, name: str | None = None) -> dict[str, Any]:
    """Download `USER/NAME[@REV]`, verify it and take it into the store; nothing is done again where it is there.

    What this project published keeps its identity: name, seed, content key, card. That key is what its publisher says;
    like all that is pulled it is only as good as its source, which `hub.json` beside the card names.

    Args:
        name: in the store, for an adapter that was not made by this project; left out, its repository's.

    Returns:
        `title`, `key`, `path`, `repo`, `commit`, `new`, `checked`, `unknown`, `base`.

    Raises:
        BadInput: no such repository or revision, or no adapter or model of ours in it.
        CorruptFile: a file is not what the card says, or the store holds something else under the same key.
        WorkFailed: the Hub failed, or sent something else than its hash says.
    """
    if not HUB_ID.match(repo):
        raise BadInput(f"'{repo}': expected USER/NAME or USER/NAME@REVISION")
    say(f"{repo}: downloading")
    folder = _download(repo)
    card = read_card(folder / CARD) if _is_ours(folder) else None
    if card is None and not (folder / CONFIG).is_file():
        raise BadInput(
            f"'{repo}' holds no LoRA adapter ({CONFIG} is missing); a base model needs no pull: name it with --base"
        )
    say(f"{repo}: comparing hashes, keys and numbers")
    if card is not None:
        if name is not None:
            raise BadInput(f"--name: '{repo}' says what it is called; --name is for adapters made elsewhere")
        ref = _checked_ref(card, repo)
        checked = _check_ours(folder, card, ref, store)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".gitattributes"]
    else:
        checked = check_adapter(folder, None)
        card = _foreign_card(folder, repo, name)
        ref = Ref(**card["ref"])
        files = [folder / file for file in _FOREIGN if (folder / file).is_file()]
    origin = {"repo": repo.partition("@")[0], "commit": folder.name, "pulled": now()}
    known = store.has(ref)
    if known:
        _check_same(store, ref, card)

    def fill(out: Path) -> None:
        for path in files:
            place = out / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        if not (out / CARD).is_file():
            write_json(out / CARD, card)
        write_json(out / ORIGIN, origin)

    path = store.take_in(ref, fill)
    return {
        "title": ref.title, "key": ref.key, "path": str(path), "new": not known, **origin,
        "checked": checked, "unknown": card.get("unknown") or [], "base": _base_line(store, card, ref),
    }  # fmt: skip


def _download(repo: str) -> Path:
    """All of what this project published; of what others did the adapter alone, not checkpoints that lie beside it."""
    head = snapshot(repo, (CARD, CONFIG))
    commit = f"{repo.partition('@')[0]}@{head.name}"
    return snapshot(commit) if _is_ours(head) else snapshot(commit, _FOREIGN)


def _is_ours(folder: Path) -> bool:
    """Whether there is a card that says what it belongs to; a damaged one is ours too, and refused later."""
    if not (folder / CARD).is_file():
        return False
    card = read_json(folder / CARD)
    return isinstance(card, dict) and isinstance(card.get("ref"), dict) and "files" in card


def _checked_ref(card: Mapping[str, Any], repo: str) -> Ref:
    """What the card says it is; it becomes a folder's name here, so it is looked at closely.

    Raises:
        CorruptFile: it is not what this project writes.
    """
    try:
        ref = Ref(**card["ref"])
        fine = (
            ref.kind in _KINDS
            and _NAME.fullmatch(ref.base) is not None
            and _NAME.fullmatch(ref.name) is not None
            and isinstance(ref.seed, int)
            and not isinstance(ref.seed, bool)
            and ref.seed >= 0
            and _KEY.fullmatch(ref.key) is not None
        )
    except TypeError:
        fine = False
    if not fine:
        raise CorruptFile(
            f"'{repo}': its {CARD} does not say what it belongs to; it was changed, pull another revision"
        )
    for name in card["files"]:
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or name in (CARD, ORIGIN):
            raise CorruptFile(f"'{repo}': its {CARD} names the file '{name}', which cannot be")
    return ref


def _check_ours(folder: Path, card: Mapping[str, Any], ref: Ref, store: Store) -> str:
    """Every file that the card names, and what the weights hold."""
    for name, told in card["files"].items():
        path = folder / name
        if not path.is_file():
            raise CorruptFile(f"'{name}' is not in the repository, and its card names it; pull another revision")
        if path.stat().st_size != told["bytes"] or file_digest(path) != told["sha256"]:
            raise CorruptFile(f"'{name}' is not what the repository's card says (SHA-256); pull another revision")
    if ref.kind in ("base", "model"):
        check_model(folder)
        return "hashes, keys and numbers, and that transformers loads it"
    key = (card.get("base") or {}).get("hash")
    base = next((store.path(made) for made in store.refs("base") if made.key == key), None)
    return check_adapter(folder, base)


def _check_same(store: Store, ref: Ref, card: Mapping[str, Any]) -> None:
    """What is here under that key has the same weights.

    Raises:
        CorruptFile: it has not.
    """
    here = store.card(ref)["files"]
    for name, told in card["files"].items():
        if name.endswith(".safetensors") and (here.get(name) or {}).get("sha256") != told["sha256"]:
            raise CorruptFile(
                f"{ref.title} is in the store with another '{name}' than the Hub's; 'factory rm {ref.title}' first, if "
                "the Hub's is the right one"
            )


def _foreign_card(folder: Path, repo: str, name: str | None) -> dict[str, Any]:
    """A card for an adapter that was made elsewhere: what its configuration tells, and what is not known.

    Raises:
        BadInput: it is not a LoRA adapter in safetensors, or the name cannot be one.
    """
    config = read_config(folder, with_base=True)
    key = folder_key(folder)
    called = name or repo.partition("@")[0].rpartition("/")[2]
    if not _NAME.fullmatch(called) or "@" in called:
        raise BadInput(f"--name {called}: expected letters, digits, '.', '_' and '-'")
    base = str(config.get("base_model_name_or_path") or "")
    hub = base if HUB_ID.match(base) else None
    label = hub.replace("/", "--") if hub else re.sub(r"[^A-Za-z0-9._-]+", "-", base.rstrip("/").rpartition("/")[2])
    revision = config.get("revision")
    unknown = [*UNKNOWN, *([] if revision else ["base's revision"]), *([] if base else ["base"])]
    files = {
        file: {"bytes": (folder / file).stat().st_size, "sha256": file_digest(folder / file)}
        for file in _FOREIGN
        if (folder / file).is_file()
    }
    return {
        "ref": Ref(label.strip("-.") or "unknown", "adapter", called, 0, key).to_json(),
        "base": {"label": label or None, "repo": hub, "revision": revision, "hash": _commit(revision)},
        "trained_tasks": [],
        "parents": [],
        "origin": repo.partition("@")[0],
        "licence": _licence(folder),
        "unknown": unknown,
        "created": now(),
        "cost": {},
        "files": files,
    }


def _licence(folder: Path) -> str | None:
    """What its README says it is published under."""
    from huggingface_hub import ModelCard

    path = folder / README
    if not path.is_file():
        return None
    try:
        told = ModelCard.load(path, ignore_metadata_errors=True).data.get("license")
    except ValueError:  # what stands there is no front matter
        return None
    return told if isinstance(told, str) else None


def _commit(revision: Any) -> str | None:
    return revision if isinstance(revision, str) and re.fullmatch(r"[0-9a-f]{40}", revision) else None


def _base_line(store: Store, card: Mapping[str, Any], ref: Ref) -> str:
    """Where its base is, for people."""
    if ref.kind == "base":
        return ""
    base = card.get("base") or {}
    if any(made.key == base.get("hash") for made in store.refs("base")):
        return f"{base.get('label')}, in this store"
    repo = base.get("repo")
    if not repo:
        return f"{base.get('label') or 'not known'}; give it with --base"
    at = f"@{base['revision']}" if base.get("revision") else ""
    if str(base.get("label", "")).startswith("embedded"):
        return f"{repo}; 'factory pull {repo}{at}' brings it"
    return f"{repo}{at} on the Hub"
