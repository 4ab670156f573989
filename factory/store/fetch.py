"""Models and adapters by hub id, through huggingface_hub's own cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from factory.core.errors import BadInput, WorkFailed

HUB_ID = re.compile(r"^[\w][\w.-]*/[\w][\w.-]*(@[\w./-]+)?$")
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "card.json")
_MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


def adapter_folder(hub_id: str) -> Path:
    """The local snapshot of an adapter, `user/name[@revision]`; weights and configuration only.

    Raises:
        BadInput: no such repository or revision.
        WorkFailed: the Hub cannot be reached.
    """
    return _snapshot(hub_id, _ADAPTER_FILES, "an adapter")


def base_folder(text: str) -> Path:
    """A base model's folder: itself, or the local snapshot of `user/name[@revision]`.

    Raises:
        BadInput: neither a folder nor a repository.
        WorkFailed: the Hub cannot be reached.
    """
    if Path(text).is_dir():
        return Path(text).resolve()
    if not HUB_ID.match(text):
        raise BadInput(f"base '{text}': no such folder, and not a hub id (user/name)")
    return _snapshot(text, _MODEL_FILES, "a base model")


def _snapshot(text: str, patterns: Sequence[str], what: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    hub_id, _, revision = text.partition("@")
    try:
        return Path(snapshot_download(hub_id, revision=revision or None, allow_patterns=list(patterns)))
    except RepositoryNotFoundError as error:
        raise BadInput(
            f"'{text}' is {what} neither in the store, nor a folder, nor on the Hub; a private one needs HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise BadInput(f"'{text}': '{hub_id}' on the Hub has no revision '{revision}'") from error
    except LocalEntryNotFoundError as error:
        raise WorkFailed(
            f"'{text}' is not here and the Hub cannot be reached; check the network or HF_HUB_OFFLINE"
        ) from error
    except HfHubHTTPError as error:
        raise WorkFailed(f"'{text}': the Hub answered: {' '.join(str(error).split())}") from error
