"""Adapters by hub id, from huggingface_hub's cache; nothing here touches the network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from factory.core.errors import BadInput, WorkFailed
from factory.merging.plan import locate
from factory.store.factors import AdapterFactors, Factors, read_factors
from factory.store.fetch import adapter_folder, base_folder
from factory.store.store import Store
from factory.store.write_adapter import write_adapter


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def test_a_hub_id_is_an_adapter(cache: Path, tmp_path: Path) -> None:
    commit = "0" * 40
    repository = cache / "models--user--math"
    factors = {"q": Factors(torch.ones(1, 2), torch.ones(3, 1))}
    write_adapter(repository / "snapshots" / commit, AdapterFactors(factors))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    item, label = locate(Store(tmp_path / "store"), "user/math")
    assert item["title"] == "user/math" and label is None
    assert torch.equal(read_factors(item["folder"]).modules["q"].delta(), torch.ones(3, 2))
    assert adapter_folder("user/math@main") == Path(item["folder"])


def test_not_here_and_no_network(cache: Path) -> None:
    with pytest.raises(WorkFailed, match="'user/none' is not here and the Hub cannot be reached"):
        adapter_folder("user/none")


def test_base_folder(cache: Path, tmp_path: Path) -> None:
    assert base_folder(str(tmp_path)) == tmp_path.resolve()
    with pytest.raises(BadInput, match="no such folder, and not a hub id"):
        base_folder(str(tmp_path / "nothing"))


def cached(cache: Path, content: bytes, name: str, *, shared: str | None = None) -> Path:
    """A snapshot of one file in huggingface_hub's layout: a link to a blob, which Xet may have as a link itself."""
    repository, commit = cache / "models--user--x", "0" * 40
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "blobs").mkdir()
    blob = repository / "blobs" / name
    if shared is None:
        blob.write_bytes(content)
    else:
        place = cache / "blobs" / shared[:2] / shared
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        blob.symlink_to(place)
    (repository / "snapshots" / commit / "config.json").symlink_to(f"../../blobs/{name}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return repository / "snapshots" / commit


def test_a_file_in_the_store_that_xet_shares_is_whole(cache: Path) -> None:
    content = b"weights"
    folder = cached(cache, content, hashlib.sha256(content).hexdigest(), shared="a" * 64)
    assert base_folder("user/x") == folder
    assert (folder / "config.json").read_bytes() == content


@pytest.mark.parametrize("shared", [None, "a" * 64])
def test_a_file_that_is_not_what_its_name_says_is_forgotten(cache: Path, shared: str | None) -> None:
    cached(cache, b"something else", hashlib.sha256(b"weights").hexdigest(), shared=shared)
    with pytest.raises(WorkFailed):
        base_folder("user/x")
    assert not [path for path in cache.rglob("*") if path.is_file() and path.name != "main"]
