"""What can go wrong on the way: each ends well after another try, or in one clear line, and the next run finishes."""

import itertools
import json
import shutil

import pytest
from hub_state import READ_ONLY

from factory.core.errors import BadInput
from factory.store.hub_errors import HubBusy, patiently

COMMIT, UPLOAD = "POST /api/models/me/tiny/commit", "PUT /objects/"


def files(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and ".lock" not in path.name}


@pytest.fixture
def push_base(run, hub, store):
    """Push the base, without results: the cheapest of all variants."""
    root, refs = store
    shutil.rmtree(root / refs["base"].base / "cells")

    def call(*options):
        before = files(root)
        code, out, err = run("push", "base", "--repo", "me/tiny", "--store", root, "--json", *options)
        assert files(root) == before, "a push leaves nothing in the store"
        assert "Traceback" not in err
        return code, json.loads(out) if code == 0 else None, err

    return call


def whole(hub):
    return "model.safetensors" in hub.files("me/tiny") and len(hub.repos["model", "me/tiny"].log) == 2


@pytest.mark.parametrize(
    ("pattern", "status", "options"),
    [
        (COMMIT, 429, {"headers": {"Retry-After": "1"}}),
        (COMMIT, 500, {}),
        (COMMIT, None, {}),
        (COMMIT, None, {"after": True}),
        (UPLOAD, None, {}),
        (UPLOAD, 500, {}),
        ("POST /api/repos/create", 503, {}),
        ("POST /api/repos/create", None, {"after": True}),
        ("POST /api/models/me/tiny/preupload", None, {}),
        ("GET /api/whoami", 502, {}),
    ],
)
def test_what_passes_is_waited_for(push_base, hub, pattern, status, options):
    hub.fault(pattern, status, **options)
    code, result, err = push_base()
    assert code == 0, err
    assert whole(hub) and result["repositories"][0]["commit"] == hub.repos["model", "me/tiny"].branches["main"]
    assert "SIGNED" not in err


@pytest.mark.parametrize(
    ("pattern", "status", "text"),
    [
        (COMMIT, 403, "may not do this (403)"),
        (COMMIT, 409, "conflict with what is there (409)"),
        (COMMIT, 412, "somebody else pushed at the same time"),
        (COMMIT, 500, "answered 500 to POST /api/models/me/tiny/commit/main"),
        ("POST /api/repos/create", 402, "asks for payment"),
        (UPLOAD, 403, "may not do this (403)"),
    ],
)
def test_what_does_not_pass_is_one_line_and_the_next_run_finishes(push_base, hub, pattern, status, text):
    hub.fault(pattern, status, times=4)
    code, _, err = push_base()
    assert code == (1 if status == 500 else 2)
    line = err.strip().splitlines()[-1]
    assert line.startswith("error: ") and text in line
    # Nothing that looks whole: the repository is not there, or has not one file of ours.
    assert ("model", "me/tiny") not in hub.repos or set(hub.files("me/tiny")) == {".gitattributes"}
    hub.faults.clear()
    before = dict(hub.uploaded)
    code, _, err = push_base()
    assert code == 0, err
    assert whole(hub)
    assert all(hub.uploaded[digest] == 1 for digest in before), "what was uploaded is not sent again"


def test_a_wait_that_is_too_long_is_not_waited(push_base, hub):
    hub.fault(COMMIT, 429, headers={"Retry-After": "7200"})
    code, _, err = push_base()
    assert code == 1
    assert "asks to wait 7200 s" in err.splitlines()[-1]


def test_retry_after_is_kept_to(hub):
    import time

    calls = []

    def call():
        calls.append(time.monotonic())
        if len(calls) < 3:
            raise HubBusy("busy", 0.2)
        return "done"

    assert patiently(call, "me/x") == "done"
    assert len(calls) == 3 and min(b - a for a, b in itertools.pairwise(calls)) >= 0.2


@pytest.mark.parametrize(
    ("token", "text"),
    [(None, "no token for the Hub"), ("hf_" + "X" * 34, "does not take the token (401)"), (READ_ONLY, "(403)")],
)
def test_tokens_that_are_missing_wrong_or_too_weak(push_base, hub, monkeypatch, token, text):
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    code, _, err = push_base()
    assert code == 2
    assert text in err.splitlines()[-1]
    assert hub.repos == {}
    assert token is None or token not in err


def test_a_file_that_arrives_changed_is_asked_for_again(push_base, run, hub, tmp_path):
    push_base()
    hub.damaged["model.safetensors"] = 1
    code, _, err = run("pull", "me/tiny", "--store", tmp_path / "other")
    assert code == 0, err
    assert hub.damaged["model.safetensors"] == 0


def test_a_file_that_always_arrives_changed_is_refused_and_forgotten(push_base, run, hub, tmp_path):
    push_base()
    hub.damaged |= {"model.safetensors": 2, "config.json": 2}
    other = tmp_path / "other"
    code, _, err = run("pull", "me/tiny", "--store", other)
    assert code == 1
    assert "config.json, model.safetensors arrived with another hash" in err.splitlines()[-1]
    assert not list(other.glob("*/bases/*"))
    code, _, err = run("pull", "me/tiny", "--store", other)
    assert code == 0, err


@pytest.mark.parametrize(
    ("repo", "text"),
    [
        ("me/nothing", "is neither in the store, nor a folder, nor on the Hub"),
        ("me/tiny@v9", "has no revision 'v9'"),
        ("not a name", "expected USER/NAME"),
    ],
)
def test_what_is_not_there_is_one_line(push_base, run, hub, tmp_path, repo, text):
    push_base()
    code, _, err = run("pull", repo, "--store", tmp_path / "other")
    assert code == 2
    assert text in err.splitlines()[-1]
    assert not (tmp_path / "other").exists()


def test_a_connection_that_is_cut_while_downloading(push_base, run, hub, tmp_path):
    push_base()
    hub.fault("GET /me/tiny/resolve/.*/model.safetensors", None, times=2)
    code, _, err = run("pull", "me/tiny", "--store", tmp_path / "other")
    assert code == 0, err


def test_refusals_are_not_tried_again():
    calls = []

    def call():
        calls.append(1)
        raise BadInput("no")

    with pytest.raises(BadInput):
        patiently(call, "me/x")
    assert calls == [1]
