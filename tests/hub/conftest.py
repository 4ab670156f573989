"""A hub on loopback, a client in this process that talks to it, and a small store."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hub_server import served
from hub_state import TOKEN, Hub
from small_store import small_store


@pytest.fixture(scope="session")
def kept_store(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub") / "store"
    return root, small_store(root)


@pytest.fixture
def store(kept_store, tmp_path):
    """A copy, and what is in it by name."""
    root, refs = kept_store
    shutil.copytree(root, tmp_path / "store")
    return tmp_path / "store", refs


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub; this process's client talks to it as user `me`, without Xet, through a cache of its own."""
    from huggingface_hub import close_session, constants

    with served(Hub(tmp_path / "hub")) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        address = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub
        close_session()


@pytest.fixture
def run():
    """The command line in this process: (exit code, stdout, stderr)."""
    from click.testing import CliRunner

    from factory.cli import main

    def call(*arguments):
        runner = CliRunner()
        with runner.isolation() as streams:
            try:
                main([str(argument) for argument in arguments])
                code = 0
            except SystemExit as stop:
                code = stop.code or 0
            out, err = streams[0].getvalue().decode(), streams[1].getvalue().decode()
        return code, out, err

    return call
