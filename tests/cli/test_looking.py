"""Commands that look at a store and tidy it: ls, show, rm, generate, doctor; on damaged things too."""

import json
import os

import pytest

from factory.store.ref import Ref
from factory.store.store import Store

BASE = Ref("tiny-s0", "base", "embedded", 0, "a" * 16)
MATH = Ref("tiny-s0", "adapter", "math", 0, "b" * 16)
MERGE = Ref("tiny-s0", "merge", "linear", 0, "c" * 16)
CELL = Ref("tiny-s0", "cell", "adapter.math-on-tiny_math", 0, "d" * 16)


@pytest.fixture
def store(tmp_path):
    """A base, an adapter, a merge and a cell, by their cards; the weights are not looked at."""
    store = Store(tmp_path / "store")

    def put(ref, **card):
        def make(out, _state):
            (out / "weights.bin").write_bytes(b"12345678")
            return card

        store.build(ref, make)

    put(BASE, metrics={"parameters": 1234567})
    put(
        MATH,
        recipe={"description": "worked arithmetic", "max_steps": 3},
        trained_tasks=["tiny_math"],
        base={"label": "tiny-s0", "revision": None, "hash": BASE.key},
        parents=[BASE.key],
    )
    put(
        MERGE,
        method="linear",
        weights=[0.5],
        parents=[MATH.key],
        merge={"rank": 2, "per_module": {"q": {"rank": 2}, "v": {"rank": 2}}},
    )
    put(CELL, metrics={"sampled": 0.25, "greedy": None}, parents=[BASE.key, MATH.key])
    return store


def damage(store, ref):
    os.truncate(store.path(ref) / "weights.bin", 3)


def destroy(store, ref):
    (store.path(ref) / "card.json").write_text("{")


def test_ls_lists_variants_and_counts_cells(factory, store):
    code, out, _ = factory("ls")
    lines = out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines] == [
        "tiny-s0/base:embedded#0",
        "tiny-s0/adapter:math#0",
        "tiny-s0/merge:linear#0",
        "and",
    ]
    assert lines[0].endswith("1,234,567 parameters")
    assert lines[1].endswith("3 steps on tiny_math")
    assert lines[2].endswith("linear of 1, weights 0.5")
    assert lines[3] == "and 1 cells (factory ls --kind cell)"
    code, out, _ = factory("ls", "--kind", "cell")
    assert out.split()[0] == CELL.title
    assert "sampled 0.250" in out
    assert "greedy" not in out


def test_ls_as_json_has_everything(factory, store):
    _, out, err = factory("ls", "--json")
    entries = json.loads(out)
    assert err == ""
    assert {entry["key"] for entry in entries} == {BASE.key, MATH.key, MERGE.key, CELL.key}
    for entry in entries:
        path = store.root.parent / entry["path"]
        assert entry["bytes"] == sum(file.stat().st_size for file in path.rglob("*"))
        assert entry["state"] == "finished"
        assert entry["created"] == store.card(next(r for r in store.refs() if r.key == entry["key"]))["created"]


@pytest.mark.parametrize("harm", [damage, destroy])
def test_ls_goes_on_past_what_is_damaged(factory, store, harm):
    harm(store, MATH)
    code, out, _ = factory("ls")
    assert code == 0
    assert out.splitlines()[1].split()[0] == MATH.title
    assert out.splitlines()[1].endswith("damaged")
    assert out.splitlines()[2].split()[0] == MERGE.title
    entry = next(e for e in json.loads(factory("ls", "--json")[1]) if e["key"] == MATH.key)
    assert f"factory rm {MATH.title}@{MATH.key}" in entry["problem"]


def test_show_goes_up_to_the_base(factory, store):
    code, out, _ = factory("show", "merge:linear")
    assert code == 0
    titles = [line.strip() for line in out.splitlines() if line.strip().startswith("tiny-s0/")]
    assert titles == [MERGE.title, MATH.title, BASE.title]
    assert "2 modules, see --json" in out
    assert "worked arithmetic" in out
    found = json.loads(factory("show", "merge:linear", "--json")[1])
    assert found["card"]["merge"]["per_module"]["v"] == {"rank": 2}
    assert found["parents"][0]["parents"][0]["card"]["metrics"] == {"parameters": 1234567}


def test_show_says_a_shared_parent_once(factory, store):
    _, out, _ = factory("show", CELL.title)
    assert f"{BASE.title} (as above)" in out


@pytest.mark.parametrize("name", ["base", "base:embedded", "tiny-s0/base", BASE.title, BASE.key])
def test_show_of_a_base(factory, store, name):
    code, out, _ = factory("show", name)
    assert code == 0
    assert out.splitlines()[0] == BASE.title


def test_show_of_something_whose_parent_is_gone_or_damaged(factory, store):
    damage(store, MATH)
    code, out, _ = factory("show", "merge:linear")
    assert code == 0
    assert "damaged: " in out
    assert "has 3 bytes, its card says 8 bytes" in out
    store.remove(MATH)
    code, out, _ = factory("show", "merge:linear")
    assert code == 0
    assert f"{MATH.key} (not in this store)" in out


@pytest.mark.parametrize("harm", [damage, destroy])
def test_show_of_something_damaged_gives_the_command_that_helps(factory, store, harm):
    harm(store, MATH)
    code, out, err = factory("show", "math")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    # Taken by the word, it helps.
    remedy = err.partition("'factory ")[2].partition("'")[0].split()
    assert factory(*remedy)[0] == 0
    assert not store.path(MATH).exists()
    assert store.has(MERGE)


def test_rm_refuses_what_others_were_made_from_unless_forced(factory, store):
    code, out, err = factory("rm", "math")
    assert (code, out) == (2, "")
    assert MERGE.title in err
    assert CELL.title in err
    assert "--force" in err
    assert store.has(MATH)
    code, out, _ = factory("rm", "math", "--force", "--json")
    assert code == 0
    assert json.loads(out)["removed"] == MATH.title
    assert [ref.kind for ref in store.refs()] == ["base", "merge", "cell"]


def test_rm_of_what_nothing_was_made_from(factory, store):
    for name in ("merge:linear", CELL.title, "math", "base"):
        assert factory("rm", name)[0] == 0
    assert list(store.refs()) == []
    assert factory("ls")[1].startswith("nothing in store yet")


def test_rm_takes_the_one_of_that_key(factory, store):
    """Of two with one title the newest is meant, unless the key says otherwise."""
    other = Ref(MATH.base, MATH.kind, MATH.name, MATH.seed, "e" * 16)
    store.build(other, lambda out, state: {})
    os.utime(store.path(MATH), (1, 1))
    damage(store, MATH)
    assert factory("rm", f"{MATH.title}@{MATH.key}", "--force")[0] == 0
    assert store.has(other)
    assert not store.has(MATH)


def test_rm_of_an_unknown_name(factory, store):
    code, _, err = factory("rm", "maht")
    assert code == 2
    assert "did you mean 'math'?" in err


def generate(factory, *arguments):
    return factory("generate", "base", "--prompt", "Find 2 + 3 + 4.", *arguments)


def test_generate_is_repeatable_and_shows_two_side_by_side(factory, pico_base):
    on = ("--base", pico_base, "--max-new-tokens", 8)
    code, out, err = generate(factory, *on)
    assert code == 0, err
    assert out.startswith("base  ")
    assert generate(factory, *on)[1] == out
    sampled = generate(factory, *on, "--samples", 3, "--seed", 1, "--json")
    answers = json.loads(sampled[1])["answers"]["base"]
    assert len(answers) == 3
    assert len(set(answers)) > 1
    assert generate(factory, *on, "--samples", 3, "--seed", 1, "--json")[1] == sampled[1]
    assert generate(factory, *on, "--samples", 3, "--seed", 2, "--json")[1] != sampled[1]


def test_generate_refuses_a_prompt_that_does_not_fit(factory, pico_base):
    code, out, err = factory("generate", "base", "--prompt", "7 " * 5000, "--base", pico_base)
    assert (code, out) == (2, "")
    assert "are more than the 4096 this base reads" in err
    assert len(err.splitlines()) == 1


def test_generate_without_a_base_says_how_to_make_one(factory):
    code, _, err = factory("generate", "base", "--prompt", "x")
    assert code == 2
    assert "build it with 'factory base --seed 0'" in err


def test_a_models_text_does_not_steer_the_terminal():
    from factory.cli.generate import _side_by_side

    shown = _side_by_side({"base": ["one\n\x1b[2Jtwo\r\x07\u202e"], "adapter:math": ["né"]})
    assert shown == "base          one\n              \\x1b[2Jtwo\\r\\x07\\u202e\nadapter:math  né"


def checks(factory, *arguments):
    code, out, _ = factory("doctor", "--json", *arguments)
    found = json.loads(out)
    assert found["able"] == (code == 0)
    return {check["name"]: check for check in found["checks"]}


def test_doctor_gives_a_remedy_for_every_finding(factory, tmp_path):
    found = checks(factory, "--data", "nowhere")
    assert found["data"]["state"] == "limited"
    assert all(check["remedy"] for check in found.values() if check["state"] != "ok")
    assert list(tmp_path.iterdir()) == []


def test_doctor_does_not_wait_for_a_hub_that_does_not_answer(monkeypatch):
    """A server that accepts and stays silent."""
    import socket
    import time

    from huggingface_hub import constants

    from factory.engine import doctor

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(doctor, "HUB_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        start = time.monotonic()
        problem = doctor._unreachable(f"http://127.0.0.1:{server.getsockname()[1]}")
        assert time.monotonic() - start < 5
    assert problem == "ReadTimeout"
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    assert doctor._unreachable(f"http://127.0.0.1:{closed}") == "ConnectError"


def test_doctor_needs_room_in_the_store(factory, monkeypatch):
    from factory.engine import doctor

    monkeypatch.setattr(doctor, "NEEDED_DISK_GIB", 1e9)
    assert checks(factory)["store"]["state"] == "problem"
