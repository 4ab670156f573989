"""Which base a study means: the embedded one, a local folder, or a hub id at a fixed revision."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput, CorruptFile
from factory.core.hashing import file_digest, key_of
from factory.core.lora import FULL, Quantization

EMBEDDED = re.compile(r"^embedded(?:@(\d+))?$")


@dataclass(frozen=True, slots=True)
class Base:
    """A base model.

    Attributes:
        label: its name in the store and in titles.
        path: folder or hub id, as transformers takes it.
        revision: the hub's commit; None for a folder.
        hash: of its content: the embedded one's key, a folder's files, a hub commit.
        quantization: how it is loaded; the same base, so no part of the hash.
        resolved: False for a hub id whose commit could not be asked for; good for a dry run only.
    """

    label: str
    path: str
    revision: str | None
    hash: str
    quantization: Quantization = FULL
    resolved: bool = True

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        plain = asdict(self)
        del plain["resolved"]
        return plain


def embedded_seed(text: str, seed: int) -> int | None:
    """The seed of the embedded base that a text means (`embedded` is the study's own); None for another base."""
    match = EMBEDDED.match(text)
    return None if match is None else int(match[1]) if match[1] else seed


def outside_base(text: str, *, dry: bool = False) -> Base:
    """A base that is not made here.

    Args:
        dry: whether a hub id that cannot be asked for now will do, for it is not going to be loaded.

    Raises:
        BadInput: no such folder, not a model's folder, or a hub id that cannot be reached.
        CorruptFile: a weight file of the folder is not whole.
    """
    folder = Path(text).expanduser()
    if folder.exists() or text.startswith((".", "/", "~")):
        return _folder(folder)
    return _hub(text, dry)


def _folder(folder: Path) -> Base:
    if not (folder / "config.json").is_file():
        raise BadInput(f"base {folder}: no config.json; expected a model's folder, a hub id, or 'embedded'")
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("tokenizer*.json"), folder / "config.json"])
    for path in weights:
        if path.suffix == ".safetensors":
            _check_whole(path)
    digest = key_of("folder", [(path.name, file_digest(path)) for path in weights])
    return Base(
        f"{re.sub(r'[^A-Za-z0-9._-]', '-', folder.resolve().name)}-{digest[:6]}", str(folder.resolve()), None, digest
    )


def _check_whole(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except SafetensorError as error:
        raise CorruptFile(f"base {path}: not a whole safetensors file ({error}); copy it again") from error


def _hub(text: str, dry: bool) -> Base:
    import httpx2
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError

    name, _, revision = text.partition("@")
    remedy = "give a hub id, a folder, or 'embedded'"
    try:
        cached = try_to_load_from_cache(name, "config.json", revision=revision or None)
        if isinstance(cached, str):
            commit = Path(cached).parent.name
            return Base(name.replace("/", "--"), name, commit, commit)
        info = HfApi().model_info(name, revision=revision or None)
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise BadInput(f"base '{text}': no such folder and no such model on the Hub; {remedy}") from error
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, httpx2.TransportError) as error:
        if dry:
            return Base(name.replace("/", "--"), name, revision or None, key_of("unresolved", text), resolved=False)
        raise BadInput(
            f"base '{text}': no such folder, and the Hub cannot be asked ({type(error).__name__}); {remedy}, "
            "or download it first"
        ) from error
    return Base(name.replace("/", "--"), name, info.sha, str(info.sha))
