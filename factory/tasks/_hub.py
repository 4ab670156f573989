"""The Hub's datasets: the one door to `datasets`. A dataset is read at a commit, which planning finds once.

The Hub is asked once, without the client's five retries: without a network that is one line, at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.tasks._cache import cache_folder, keep, recorded
from factory.tasks._rows import Rows
from factory.tasks._task import Source

SECONDS = 10.0
COMMIT_LENGTH = 40


def hub_revision(dataset: str, wanted: str | None, source: Source) -> str:
    """The commit a Hub dataset is at, or the one that a revision means; kept in the source, so that jobs read it too.

    Raises:
        BadInput: the Hub cannot be asked, or has no such dataset or revision.
    """
    key = f"{dataset}@{wanted}" if wanted else dataset
    if key not in source.revisions:
        source.revisions[key] = wanted if wanted and _is_commit(wanted) else _asked(dataset, wanted)
    return source.revisions[key]


def _is_commit(revision: str) -> bool:
    return len(revision) == COMMIT_LENGTH and set(revision) <= set("0123456789abcdef")


def _asked(dataset: str, revision: str | None) -> str:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        return str(HfApi().dataset_info(dataset, revision=revision, timeout=SECONDS).sha)
    except RepositoryNotFoundError as error:  # before HfHubHTTPError, of which it is one
        raise BadInput(f"dataset {dataset}: the Hub has none of that name, or it wants a token; {REMEDY}") from error
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, httpx2.TransportError) as error:
        at = f" at revision {revision}" if revision else ""
        raise BadInput(f"dataset {dataset}{at}: the Hub cannot be asked ({type(error).__name__}); {REMEDY}") from error


REMEDY = "give an offline mirror with --data DIR or FACTORY_DATA, or a downloaded commit with NAME@revision=COMMIT"


def hub_rows(dataset: str, configs: Sequence[str], split: str, commit: str) -> Rows:
    """The rows of a split of some configurations of a dataset, at a commit.

    Raises:
        BadInput: they cannot be had.
    """
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    folder = _downloaded(dataset, commit)
    rows: list[dict[str, Any]] = []
    try:
        for config in configs:
            rows += load_dataset(str(folder), config, split=split)
    except (OSError, ValueError) as error:
        told = " ".join(str(error).replace(str(folder), dataset).split())[:200]
        raise BadInput(f"dataset {dataset} at {commit[:12]}, split {split}: {type(error).__name__}: {told}") from error
    return rows


def _downloaded(dataset: str, commit: str) -> Path:
    """The folder with all files of a dataset at a commit, from the Hub's own cache if they are there.

    `load_dataset(dataset, revision=commit)` would not do: without a network it takes whatever version was used last.

    Raises:
        BadInput: they cannot be had.
    """
    import httpx2
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    record = cache_folder(f"hub-{key_of(dataset, commit)}.json")
    here = _here(dataset, commit, record)
    if here is not None:
        return here
    try:
        # Asked first, and once: the download itself would try five times where there is no network.
        about = HfApi().dataset_info(dataset, revision=commit, timeout=SECONDS)
        folder = Path(snapshot_download(dataset, repo_type="dataset", revision=commit))
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, httpx2.TransportError) as error:
        raise BadInput(
            f"dataset {dataset} at {commit[:12]}: is not here, and the Hub cannot be asked ({type(error).__name__}); "
            f"{REMEDY}"
        ) from error
    keep(record, {"dataset": dataset, "commit": commit, "files": [one.rfilename for one in about.siblings or ()]})
    return folder


def _here(dataset: str, commit: str, record: Path) -> Path | None:
    """The folder of a download that was finished, None if none was or a file of it is gone."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    known = recorded(record, ("files",))
    if known is None:
        return None
    try:
        folder = Path(snapshot_download(dataset, repo_type="dataset", revision=commit, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return folder if all((folder / name).is_file() for name in known["files"]) else None
