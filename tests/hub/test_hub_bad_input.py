"""What cannot be pushed or pulled is said in one line, and nothing is created."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hub_state import TOKEN
from small_store import save_base

from factory.core.atomic import write_json

PUSH = ["push", "math", "--repo", "me/math", "--with-base", "me/tiny"]


def one_line(result, code=2):
    found, _, err = result
    assert found == code, err
    assert "Traceback" not in err
    return err.strip().splitlines()[-1].removeprefix("error: ")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["push", "math"], "--repo USER/NAME says where it goes"),
        (["push", "--repo", "me/x"], "name one VARIANT, or a study"),
        (["push", "math", "--repo", "me"], "--repo me: expected USER/NAME"),
        (["push", "math", "--repo", "me/a/b"], "expected USER/NAME"),
        (["push", "math", "--repo", "me/x--y..z"], "expected USER/NAME"),
        (["push", "meth", "--repo", "me/x"], "did you mean 'math'?"),
        (["push", "python", "--repo", "me/x"], "'python' is not finished"),
        (["push", "math", "--repo", "me/math"], "--with-base USER/NAME pushes it first and names it"),
        (["push", "math", "--repo", "me/x", "--with-base", "me/x"], "is the variant's own repository"),
        (["push", "base", "--repo", "me/x", "--with-base", "me/y"], "is a base itself"),
        (["push", "math", "--repo", "me/x", "--create-pr", "--revision", "v1"], "leave --revision out"),
        (["push", "math", "--repo", "me/x", "--revision", "a b"], "expected a branch's name"),
        ([*PUSH, "--license", "My own"], "expected the Hub's identifier"),
        ([*PUSH, "--out", "x"], "--out is for --dry-run"),
        ([*PUSH, "--template", "nothing.j2"], "no such file"),
        (["push", "--study", "nothing", "--repo", "me/x"], "unknown study 'nothing'"),
    ],
)
def test_push(run, hub, store, arguments, text):
    assert text in one_line(run(*arguments, "--store", store[0]))
    assert hub.repos == {}


@pytest.mark.parametrize("text", [b"\xff\x00", b"{% block x %}", b"{{ 1/0 }}", b"{{ kind + 1 }}"])
def test_templates_that_cannot_be_used(run, hub, store, tmp_path, text):
    (tmp_path / "own.j2").write_bytes(text)
    line = one_line(run("push", "base", "--repo", "me/x", "--template", tmp_path / "own.j2", "--store", store[0]))
    assert line.startswith("--template ") and "own.j2: " in line
    assert hub.repos == {}


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_a_name_that_is_something_else(run, hub, store, kind):
    hub.put("me/math", {"README.md": b"# rows"}, kind=kind)
    assert f"'me/math' is a {kind} on the Hub; choose another name" in one_line(run(*PUSH, "--store", store[0]))
    assert set(hub.repos) == {(kind, "me/math")}


def test_a_name_that_is_another_kind_of_model(run, hub, store):
    hub.put("me/math", {"model.safetensors": b"", "config.json": b"{}"}, private=True)
    assert "'me/math' holds a full model and this is an adapter" in one_line(run(*PUSH, "--store", store[0]))
    hub.put("me/tiny", {"adapter_config.json": b"{}"}, private=True)
    arguments = ["push", "base", "--repo", "me/tiny", "--store", store[0]]
    assert "'me/tiny' holds an adapter and this is a full model" in one_line(run(*arguments))


def test_private_work_does_not_go_to_a_public_place_by_itself(run, hub, store):
    hub.put("me/math", {"README.md": b"# soon"}, private=False)
    assert "'me/math' is public; say --public" in one_line(run(*PUSH, "--store", store[0]))
    assert ("model", "me/tiny") not in hub.repos


def test_somebody_elses_name(run, hub, store):
    arguments = ["push", "base", "--repo", "you/tiny", "--store", store[0]]
    assert "the token may not do this (403)" in one_line(run(*arguments))
    assert hub.repos == {}


def test_a_base_the_hub_does_not_have(run, hub, store):
    root, refs = store
    card = root / refs["math"].folder / "card.json"
    told = json.loads(card.read_text())
    told["base"] = {"label": "Some--Model", "revision": None, "hash": "b" * 40}
    write_json(card, told)
    arguments = ["push", "math", "--repo", "me/math", "--store", root]
    line = one_line(run(*arguments))
    assert "'Some/Model', is not on the Hub" in line and "--with-base USER/NAME pushes it first" in line
    assert hub.repos == {}
    folder = save_base(root / "elsewhere")
    assert "was made on another base" in one_line(run(*arguments, "--base", folder))


def test_a_base_by_folder_goes_first(run, hub, store):
    root, refs = store
    folder = save_base(root / "elsewhere")
    card = root / refs["math"].folder / "card.json"
    told = json.loads(card.read_text())
    told["base"] = {"label": "elsewhere-abc", "revision": None, "hash": None}
    write_json(card, told)
    code, out, err = run(*PUSH, "--base", folder, "--license", "mit", "--store", root, "--json")
    assert code == 0, err
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= set(hub.files("me/tiny"))
    assert str(root).encode() not in b"".join(hub.files("me/tiny").values())
    # Now that the Hub has it, it can be named; its weights are compared.
    code, out, err = run("push", "math", "--repo", "me/math", "--base", "me/tiny", "--license", "mit", "--store", root)
    assert code == 0, err
    assert "unchanged" in out


def test_a_damaged_variant(run, hub, store):
    root, refs = store
    weights = root / refs["math"].folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert "its content is not what its card says" in one_line(run(*PUSH, "--store", root))
    assert hub.repos == {}


def test_offline(run, hub, store, monkeypatch):
    from huggingface_hub import constants

    root, _ = store
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in one_line(run(*PUSH, "--store", root), 1)
    code, out, err = run(*PUSH, "--dry-run", "--store", root)
    assert code == 0, err
    assert "the Hub was not asked" in err and "+ README.md" in out


def test_the_same_key_with_other_weights(run, hub, store):
    root, refs = store
    code, _, err = run(*PUSH, "--store", root)
    assert code == 0, err
    # The store's own is not the Hub's: say, retrained by hand under the old key.
    files = hub.files("me/math")
    card = json.loads(files["card.json"])
    sql = (root / refs["sql"].folder / "adapter_model.safetensors").read_bytes()
    import hashlib

    card["files"]["adapter_model.safetensors"] = {"bytes": len(sql), "sha256": hashlib.sha256(sql).hexdigest()}
    hub.put("me/math", {"adapter_model.safetensors": sql, "card.json": json.dumps(card).encode()})
    assert "is in the store with another 'adapter_model.safetensors'" in one_line(
        run("pull", "me/math", "--store", root)
    )


def test_killed_in_the_middle_of_an_upload_the_next_run_finishes(run, hub, store, tmp_path):
    root, _ = store
    hub.fault("POST /api/models/me/tiny/commit", 429, times=1, headers={"Retry-After": "60"})
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
                   "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home")}  # fmt: skip
    command = [sys.executable, "-m", "factory", "push", "base", "--repo", "me/tiny", "--store", str(root)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    stop = time.monotonic() + 120
    while not hub.count("POST /api/models/me/tiny/commit") and time.monotonic() < stop:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert set(hub.files("me/tiny")) == {".gitattributes"} and hub.uploaded
    code, out, err = run("push", "base", "--repo", "me/tiny", "--store", root)
    assert code == 0, err
    assert "model.safetensors" in hub.files("me/tiny")
    assert set(hub.uploaded.values()) == {1}
    code, out, err = run("push", "base", "--repo", "me/tiny", "--store", root)
    assert "unchanged" in out
