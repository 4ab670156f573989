"""The one commit that brings a repository to a folder's state, and the collection that repositories are put into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from factory.core.errors import BadInput
from factory.hub.repository import Difference, Say, compare, look_once
from factory.store.hub_errors import patiently

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True, slots=True)
class Sent:
    """What a push did.

    Attributes:
        commit: the branch's commit now; the pull request's for one.
        made: whether it was made by this push.
        url: of the repository or the pull request.
        difference: what it changed.
    """

    commit: str | None
    made: bool
    url: str
    difference: Difference


def send(
    folder: Path,
    repo: str,
    message: str,
    *,
    public: bool,
    revision: str | None = None,
    create_pr: bool = False,
    say: Say | None = None,
) -> Sent:
    """Bring a repository to the folder's state with one commit, or none where it is in that state.

    The commit is the last thing that happens: weights are uploaded first and are seen by nobody until it names them. It
    names its parent, so two pushes at once cannot mix. Each try looks again at what is there, so a commit whose answer
    was lost is found and not made twice.

    Raises:
        BadInput: no right, or somebody else pushed meanwhile.
        WorkFailed: the Hub failed to the end; what was uploaded stays and is not sent again.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()

    def attempt() -> Sent:
        remote = look_once(repo, None if create_pr else revision)
        if not remote.exists:
            api.create_repo(repo, private=not public, exist_ok=True)
            remote = look_once(repo, None if create_pr else revision)
            if not remote.exists:  # 409 without a model of that name: something else has it
                raise BadInput(f"'{repo}' is taken on the Hub by something that is not a model; choose another name")
        if revision and not create_pr and not remote.branch:
            api.create_branch(repo, branch=revision, exist_ok=True)
            remote = look_once(repo, revision)
        difference = compare(remote, folder)
        url = f"{api.endpoint}/{repo}"
        if difference.empty:
            return Sent(remote.head, False, url, difference)
        if create_pr:
            waiting = _waiting_pull(api, repo, folder)
            if waiting is not None:
                return waiting
        additions = [CommitOperationAdd(name, str(folder / name)) for name in [*difference.added, *difference.changed]]
        deletions = [CommitOperationDelete(name) for name in difference.removed]
        info = api.create_commit(
            repo,
            [*additions, *deletions],
            commit_message=message,
            revision=None if create_pr else revision,
            create_pr=create_pr,
            parent_commit=remote.head,
        )
        return Sent(info.oid, True, str(info.pr_url or url), difference)

    return patiently(attempt, repo, say)


def _waiting_pull(api: HfApi, repo: str, folder: Path) -> Sent | None:
    """An open pull request that proposes just this folder, so that it is not proposed twice."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        pulls = list(api.get_repo_discussions(repo, discussion_type="pull_request", discussion_status="open"))
    except HfHubHTTPError as error:
        if error.response.status_code in (403, 404):  # they cannot be listed here: there is nothing to compare with
            return None
        raise
    for pull in pulls:
        remote = look_once(repo, pull.git_reference)
        difference = compare(remote, folder)
        if difference.empty:
            return Sent(remote.head, False, f"{api.endpoint}/{repo}/discussions/{pull.num}", difference)
    return None


def group(title: str, repos: Mapping[str, str], *, public: bool, say: Say | None = None) -> str:
    """Put repositories into a collection of the user, made unless it is there; gives its slug.

    Args:
        title: of the collection, or the slug of one that is there.
        repos: a note by repository.

    Raises:
        BadInput, WorkFailed: as `send`.
    """
    from huggingface_hub import HfApi

    api = HfApi()

    def attempt() -> str:
        if "/" in title:
            collection = api.get_collection(title)
        else:
            collection = api.create_collection(title, private=not public, exists_ok=True)
        there = {item.item_id for item in collection.items}
        for repo, note in repos.items():
            if repo not in there:
                api.add_collection_item(collection.slug, repo, "model", note=note, exists_ok=True)
        return str(collection.slug)

    return patiently(attempt, f"collection '{title}'", say)
