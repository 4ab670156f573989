"""The Hub's datasets: the one door to `datasets`. A dataset is read at a commit, which planning finds once.

The Hub is asked once, without the client's five retries: without a network that is one line, at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from factory.core.errors import BadInput
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
    """The rows of a split of some configurations of a dataset, at a commit; from the Hub's own cache if they are there.

    Raises:
        BadInput: they cannot be had.
    """
    import httpx2
    from datasets import disable_progress_bars, load_dataset
    from huggingface_hub.errors import HfHubHTTPError

    disable_progress_bars()
    rows: list[dict[str, Any]] = []
    try:
        for config in configs:
            rows += load_dataset(dataset, config, split=split, revision=commit)
    except (HfHubHTTPError, OSError, ValueError, httpx2.TransportError) as error:
        told = " ".join(str(error).split())[:160]
        what = f"dataset {dataset} at {commit[:12]}, split {split}"
        raise BadInput(f"{what}: cannot be had ({type(error).__name__}: {told}); {REMEDY}") from error
    return rows
