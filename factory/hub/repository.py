"""One model repository on the Hub: what is there, and what a folder would change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from factory.core.errors import BadInput
from factory.store.fetch import HUB_ID, same_content
from factory.store.hub_errors import patiently

Say = Callable[[str], None]
_SERVERS_OWN = (".gitattributes",)
_OURS = ("figures/", ".eval_results/")
_WEIGHTS = (".safetensors", ".safetensors.index.json")


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository as it is.

    Attributes:
        repo, revision: which, and which branch of it.
        exists: whether it is there; `branch`: whether the branch is.
        private: None where it is not there.
        head: the branch's commit.
        files: path -> hash, SHA-256 of a large file and git's SHA-1 of a small one.
        licence: on its card.
    """

    repo: str
    revision: str | None = None
    exists: bool = False
    branch: bool = False
    private: bool | None = None
    head: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a push would change."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    same: list[str]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send."""
        return not (self.added or self.changed or self.removed)


def check_name(repo: str, option: str) -> str:
    """A repository's name as it was given.

    Raises:
        BadInput: it is not `USER/NAME`.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError:
        repo = ""
    if not HUB_ID.match(repo) or "@" in repo:
        raise BadInput(f"{option}: expected USER/NAME, letters, digits, '-', '_' and '.', at most 96 of them")
    return repo


def whoami() -> str:
    """The name of the user whose token is in use.

    Raises:
        BadInput: there is no token, or the Hub does not take it.
        WorkFailed: the Hub cannot be asked.
    """
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise BadInput("no token for the Hub: 'hf auth login', or set HF_TOKEN, with the right to write")
    try:
        return str(patiently(HfApi().whoami, "the Hub")["name"])
    except BadInput as error:
        raise BadInput("the Hub does not take the token (401); 'hf auth login' again, or set HF_TOKEN") from error


def look(repo: str, revision: str | None = None, say: Say | None = None) -> Remote:
    """What is there now.

    Raises:
        BadInput: no right to look.
        WorkFailed: the Hub cannot be asked.
    """
    return patiently(lambda: look_once(repo, revision), repo, say)


def look_once(repo: str, revision: str | None) -> Remote:
    """As `look`, without another try; errors are huggingface_hub's own."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.hf_api import RepoFile

    api = HfApi()
    try:
        info = api.model_info(repo, revision=revision)
    except RepositoryNotFoundError:  # 401 too: without a token, what is private and what is not there look the same
        return Remote(repo, revision)
    except RevisionNotFoundError:
        main = api.model_info(repo)
        return Remote(repo, revision, exists=True, private=main.private)
    files = {
        entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
        for entry in api.list_repo_tree(repo, recursive=True, revision=info.sha)
        if isinstance(entry, RepoFile) and entry.path not in _SERVERS_OWN
    }
    card = info.card_data
    licence = card.get("license") if card is not None else None
    return Remote(
        repo, revision, True, True, info.private, info.sha, files, licence if isinstance(licence, str) else None
    )


def check_target(remote: Remote, kind: str, *, public: bool, say: Say | None = None) -> None:
    """Refuse a repository that is something else than what is to be pushed.

    Raises:
        BadInput: the name is a dataset's or a space's, the repository holds another kind of model, or is public and
            nothing public was asked for.
    """
    if not remote.exists:
        for other in ("dataset", "space"):
            if _is_there(remote.repo, other, say):
                raise BadInput(f"'{remote.repo}' is a {other} on the Hub; choose another name for --repo")
        return
    if remote.private is False and not public:
        raise BadInput(f"'{remote.repo}' is public; say --public to publish there, or choose another name")
    holds = "an adapter" if "adapter_config.json" in remote.files else ""
    if not holds and any(path.endswith(".safetensors") for path in remote.files):
        holds = "a full model"
    wants = "an adapter" if kind in ("adapter", "merge") else "a full model"
    if holds and holds != wants:
        raise BadInput(f"'{remote.repo}' holds {holds} and this is {wants}; choose another name for --repo")


def _is_there(repo: str, kind: str, say: Say | None) -> bool:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    def ask() -> bool:
        try:
            return HfApi().repo_exists(repo, repo_type=kind)
        except HfHubHTTPError as error:
            if error.response.status_code == 404:  # one without the Hub's code for what is not there
                return False
            raise

    return patiently(ask, repo, say)


def compare(remote: Remote, folder: Path) -> Difference:
    """A folder against what is there.

    Files of ours that are no longer part of it go: figures, results, weights, and what the card that is there names.
    Whatever else somebody put there stays.
    """
    local = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    added: list[str] = []
    changed: list[str] = []
    same: list[str] = []
    for name, path in local.items():
        there = remote.files.get(name)
        if there is None:
            added.append(name)
        else:
            (same if same_content(path, there) else changed).append(name)
    gone = [name for name in remote.files if name not in local and (name.startswith(_OURS) or name.endswith(_WEIGHTS))]
    return Difference(added, changed, sorted(gone), same)
