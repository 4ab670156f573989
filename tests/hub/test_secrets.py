"""Nothing that names this machine or its user, and no token, is in what is sent; what is planted is found."""

import getpass
import json
import os
import re
import socket
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from factory.core.errors import BadInput
from factory.hub.lineage import without_paths
from factory.hub.secrets import _texts_among, refuse, scan

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SECRETS = {
    "hugging face": "hf_" + LETTERS[:34],
    "github": "ghp_" + LETTERS[:36],
    "fine github": "github_pat_" + LETTERS[:40],
    "gitlab": "glpat-" + LETTERS[:20],
    "openai": "sk-" + LETTERS[:40],
    "anthropic": "sk-ant-api03-" + LETTERS[:40],
    "aws": "AKIA" + LETTERS[26:42].upper(),
    "google": "AIza" + LETTERS[:35],
    "slack": "xoxb-" + "123456789012-" + LETTERS[:20],
    "npm": "npm_" + LETTERS[:36],
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk",
    "key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "address": "postgres://alice:hunter2@db.local/x",
    "home": "/home/alice/work/run.py",
    "mac": "/Users/alice/models",
    "windows": "C:\\Users\\alice\\models",
    "windows, elsewhere": "D:\\models\\alice",
    "cluster": "/lustre/alice/runs",
    "colab": "/content/drive/MyDrive",
}


PLACES = [
    (name, where)
    for name, secret in SECRETS.items()
    for where in ("text", "json", "header", "name")
    if where != "name" or not {"/", "\\"} & set(secret)  # no file can be called so
]


@pytest.mark.parametrize(("name", "where"), PLACES)
def test_what_is_planted_is_found(tmp_path, name, where):
    secret = SECRETS[name]
    if where == "text":
        (tmp_path / "README.md").write_text(f"trained with {secret} on it\n")
    elif where == "json":
        (tmp_path / "card.json").write_text(json.dumps({"recipe": {"note": f"({secret})"}}))
    elif where == "header":
        save_file({"x": torch.zeros(2)}, tmp_path / "m.safetensors", metadata={"made": secret})
    else:
        (tmp_path / f"{secret}.txt").write_text("")
    found = scan(tmp_path, [], {})
    assert found
    with pytest.raises(BadInput) as error:
        refuse(found)
    assert where == "name" or secret not in str(error.value), "the secret itself is not told"


def test_values_of_the_environment_and_secrets_in_tensors(tmp_path):
    secret = "correct horse battery staple"
    bits = torch.frombuffer(bytearray(b"\0" * 40 + secret.encode() + b"\0" * 12), dtype=torch.uint8)
    save_file({"x": bits}, tmp_path / "m.safetensors")
    (tmp_path / "recipe.yaml").write_text("name: project-seven-internal\ntasks: [tiny_math]\nsteps: 12345678\n")
    environment = {"DB_PASSWORD": secret, "PROJECT": "project-seven-internal", "TASK": "tiny_math", "N": "12345678"}
    found = {(one.file, one.what) for one in scan(tmp_path, ["tiny_math"], environment)}
    assert found == {("m.safetensors", "the value of $DB_PASSWORD"), ("recipe.yaml", "the value of $PROJECT")}


@given(st.lists(st.one_of(st.binary(max_size=30), st.text("ab ~", max_size=30).map(str.encode)), max_size=12))
def test_texts_among_numbers_are_all_printable_runs_of_twelve(parts):
    content = b"".join(parts)
    assert _texts_among(content).split(b"\n") == (re.findall(rb"[ -~]{12,}", content) or [b""])


def test_words_of_a_vocabulary_are_no_names(tmp_path, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "maria")
    for name in ("tokenizer.json", "card.json"):
        (tmp_path / name).write_text('{"maria": 17, "production": 18, "hunter2secret": 19}')
    environment = {"STAGE": "production", "DB_PASSWORD": "hunter2secret"}
    found = [(one.file, one.what) for one in scan(tmp_path, [], environment)]
    secret = "the value of $DB_PASSWORD"
    assert sorted(found) == [
        ("card.json", "the user's name"),
        ("card.json", secret),
        ("card.json", "the value of $STAGE"),
        ("tokenizer.json", secret),
    ]


def test_this_machine(tmp_path):
    for number, place in enumerate((Path.cwd(), Path(os.sys.prefix))):
        (tmp_path / f"{number}.txt").write_text(f"see {place}/x")
    assert {one.file for one in scan(tmp_path, [], {})} == {"0.txt", "1.txt"}


@pytest.mark.parametrize(
    "text",
    [
        "https://huggingface.co/me/math and [card.json](card.json) and/or 3/4",
        "model.layers.0.mlp.up_proj, sk-learn, hf_hub, task-specific, AKIA",
        "see the /api/models route; 1/home of the brave",
        "base_model:adapter:me/tiny, tmp/x, ./work/x, q/k/v",
        "</think> </data> x: \\alpha, C:\\n, [^\\r\\n\\p{L}]?\\p{L}+|\\p{N}{1,3}",
    ],
)
def test_plain_text_is_not_refused(tmp_path, text):
    (tmp_path / "README.md").write_text(text)
    assert scan(tmp_path, [], {"HF_ENDPOINT": "https://huggingface.co"}) == []


@settings(max_examples=60)
@given(st.binary(max_size=4000))
def test_random_bytes_never_raise(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "bytes"
    folder.mkdir(exist_ok=True)
    (folder / "a.safetensors").write_bytes(content)
    (folder / "b.txt").write_bytes(content)
    scan(folder, [], {"A_TOKEN": "\udcff" * 8})


@settings(max_examples=100)
@given(st.lists(st.text("abcXYZ09._-", min_size=1, max_size=8).filter(lambda s: s.strip(".")), min_size=2, max_size=5))
def test_paths_are_cut_to_their_last_part(parts):
    path = "/" + "/".join(parts)
    assert without_paths({"base": f"made on {path}", "list": [path]}) == {
        "base": f"made on {parts[-1]}",
        "list": [parts[-1]],
    }
    assert without_paths("/".join(parts)) == "/".join(parts), "a hub id is no path"


def test_no_pushed_byte_names_this_machine(run, hub, store, monkeypatch):
    root, refs = store
    monkeypatch.setenv("TEAM_NAME", "a-team-with-a-name")
    monkeypatch.setenv("SOME_PASSWORD", "swordfish-swordfish")
    for name, base in (("merge", "--with-base"), ("math", "--base")):
        title = refs[name].title
        code, _, err = run("push", title, "--repo", f"me/{name}", base, "me/tiny", "--store", root)
        assert code == 0, err
    forbidden = {str(root), str(root.resolve()), str(Path.home()), str(Path.cwd()), "a-team-with", "swordfish"}
    forbidden |= {name for name in (getpass.getuser(), socket.gethostname()) if len(name) > 4}
    sent = [(repo, name, content) for _, repo in hub.repos for name, content in hub.files(repo).items()]
    assert len(sent) > 20
    for repo, name, content in sent:
        for text in forbidden:
            assert text.encode() not in content, (repo, name, text)


def test_a_recipe_with_a_token_is_not_pushed(run, hub, store):
    root, refs = store
    folder = root / refs["math"].folder
    card = json.loads((folder / "card.json").read_text())
    card["recipe"]["trl"] = {"hub_token": SECRETS["hugging face"]}
    (folder / "card.json").write_text(json.dumps(card))
    code, _, err = run("push", "math", "--repo", "me/math", "--with-base", "me/tiny", "--store", root)
    assert code == 2
    line = err.strip().splitlines()[-1]
    assert "nothing was sent" in line and "card.json holds a Hugging Face token" in line
    assert SECRETS["hugging face"] not in err
    assert hub.repos == {}
