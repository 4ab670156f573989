"""The store: one rename makes a thing finished, one process makes it, and what is damaged is refused by name."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.core.errors import CorruptFile, StoreError
from factory.store.ref import Ref
from factory.store.store import Store

REF = Ref("base-s0", "adapter", "math", 0, "0123456789abcdef")


def fill(out, state):
    (out / "weights.bin").write_bytes(bytes(range(256)))
    (out / "deep").mkdir()
    (out / "deep" / "log.jsonl").write_text("{}\n")
    return {"recipe": {"r": 2}, "parents": ["ffff"]}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_a_built_thing_is_whole_and_its_card_complete(store):
    path = store.build(REF, fill)
    assert path == store.root / "base-s0" / "adapters" / "math-s0-0123456789abcdef"
    assert store.open(REF) == path
    card = store.card(REF)
    assert Ref(**card["ref"]) == REF
    assert card["recipe"] == {"r": 2}
    # sha256 of the bytes 0..255 and of "{}\n", by coreutils.
    assert card["files"] == {
        "deep/log.jsonl": {
            "bytes": 3,
            "sha256": "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356",
        },
        "weights.bin": {
            "bytes": 256,
            "sha256": "40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880",
        },
    }
    assert set(card["cost"]) == {"wall_seconds", "cpu_seconds", "peak_gib"}
    assert card["versions"]["torch"]
    assert list(store.refs()) == [REF]
    assert not any((store.root / ".work").iterdir())


def test_a_finished_thing_is_not_made_again_and_not_touched(store):
    path = store.build(REF, fill)
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*")}

    def never(out, state):
        raise AssertionError("made again")

    store.build(REF, never)
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*")} == before


def test_where_it_is_finished_nothing_is_written_so_that_a_store_may_be_read_only(store):
    store.build(REF, fill)
    shutil.rmtree(store.root / ".work")
    shutil.rmtree(store.root / ".locks")
    places = [store.root, *sorted(store.root.rglob("*"))]
    before = [(place, place.stat().st_mtime_ns) for place in places]
    assert store.build(REF, fill) == store.path(REF)
    assert [(place, place.stat().st_mtime_ns) for place in [store.root, *sorted(store.root.rglob("*"))]] == before


def test_what_fails_half_way_is_not_there_but_its_state_is_kept(store):
    def fails(out, state):
        (out / "half.bin").write_bytes(b"half")
        (state / "checkpoint").write_text("step 3")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        store.build(REF, fails)
    assert not store.has(REF)
    assert list(store.refs()) == []
    with pytest.raises(StoreError, match="base-s0/adapter:math#0 is not in the store"):
        store.card(REF)

    def goes_on(out, state):
        assert list(out.iterdir()) == []
        assert (state / "checkpoint").read_text() == "step 3"
        return fill(out, state)

    store.build(REF, goes_on)
    assert "half.bin" not in store.card(REF)["files"]
    assert not store.work(REF).exists()


CHILD = """
import os, sys, time
from pathlib import Path
from factory.store.ref import Ref
from factory.store.store import Store
root, log, hang = sys.argv[1:]

def make(out, state):
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\\n")
    (out / "weights.bin").write_bytes(b"x" * 1000)
    (state / "checkpoint").write_text("half way")
    time.sleep(float(hang))
    return {}

print(Store(root).build(Ref("base-s0", "adapter", "math", 0, "0123456789abcdef"), make))
"""


def child(store, log, hang):
    command = [sys.executable, "-c", CHILD, str(store.root), str(log), str(hang)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, seconds=30):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_processes_that_want_one_thing_make_it_once(store, tmp_path):
    log = tmp_path / "log"
    processes = [child(store, log, 0.3) for _ in range(3)]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert len({out for out, _ in said}) == 1
    assert len(log.read_text().splitlines()) == 1
    store.open(REF)


def test_a_process_killed_while_it_makes_a_thing_leaves_no_thing_and_no_lock(store, tmp_path):
    log = tmp_path / "log"
    process = child(store, log, 60)
    try:
        wait_for(store.work(REF) / "checkpoint")
        # Somebody else is waiting for the same thing: the kill hands the work over to it.
        done = []
        waiting = threading.Thread(target=lambda: done.append(store.build(REF, fill)), daemon=True)
        waiting.start()
        time.sleep(0.2)
        assert not store.has(REF)
        assert not done
        process.send_signal(signal.SIGKILL)
        process.wait()
        waiting.join(timeout=10)
    finally:
        process.kill()
        process.communicate()
    assert done == [store.path(REF)]
    assert store.card(REF)["files"]["weights.bin"]["bytes"] == 256


DAMAGE = {
    "truncated": (lambda p: os.truncate(p / "weights.bin", 100), r"weights\.bin: has 100 bytes, its card says 256"),
    "longer": (lambda p: (p / "weights.bin").write_bytes(bytes(300)), "has 300 bytes"),
    "missing": (lambda p: (p / "deep" / "log.jsonl").unlink(), r"deep/log\.jsonl: is missing"),
    "no card": (lambda p: (p / "card.json").unlink(), r"card\.json: is missing"),
    "half a card": (lambda p: os.truncate(p / "card.json", 50), r"card\.json: not valid JSON"),
    "an empty card": (lambda p: (p / "card.json").write_text(""), r"card\.json: not valid JSON"),
    "a binary card": (lambda p: (p / "card.json").write_bytes(b"\xff\xfe\x00"), r"card\.json: not valid JSON"),
    "a list as card": (lambda p: (p / "card.json").write_text("[]"), "not a card of this store"),
    "a card without files": (lambda p: (p / "card.json").write_text('{"ref": {}}'), "not a card of this store"),
    "files that are none": (
        lambda p: (p / "card.json").write_text('{"ref": {}, "files": {"a": 3}}'),
        "not a card of this store",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_refused_by_path_with_the_command_that_removes_it(store, name):
    damage, says = DAMAGE[name]
    path = store.build(REF, fill)
    damage(path)
    for look in (store.has, store.card, store.open, lambda ref: store.build(ref, fill)):
        with pytest.raises(CorruptFile, match=says) as caught:
            look(REF)
        text = str(caught.value)
        assert str(path) in text
        assert f"factory rm {REF.title}@{REF.key} --store {store.root} --force" in text
        assert "\n" not in text
    # It can still be named, removed, and made again.
    assert list(store.refs()) == [REF]
    store.remove(REF)
    assert not store.has(REF)
    store.build(REF, fill)
    store.open(REF)


def test_a_changed_bit_is_found_when_the_thing_is_opened(store):
    path = store.build(REF, fill) / "weights.bin"
    content = bytearray(path.read_bytes())
    content[17] ^= 1
    path.write_bytes(content)
    assert store.has(REF)  # sizes only, for a quick look
    with pytest.raises(CorruptFile, match=r"weights\.bin: its content is not what its card says"):
        store.open(REF)


def test_a_folder_copied_under_another_name_is_not_that_other_thing(store):
    other = Ref("base-s0", "adapter", "math", 0, "f" * 16)
    store.build(REF, fill).rename(store.path(other))
    with pytest.raises(CorruptFile, match="belongs to another thing"):
        store.open(other)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damage_of_a_single_byte_is_trusted(tmp_path_factory, data):
    """Any byte of any file but the card changed, or any file cut anywhere: `open` refuses."""
    store = Store(tmp_path_factory.mktemp("store"))
    path = store.build(REF, fill)
    file = path / data.draw(st.sampled_from(sorted(store.card(REF)["files"])))
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    file.write_bytes(content)
    with pytest.raises(CorruptFile, match=re.escape(str(file))):
        store.open(REF)


def test_a_card_cut_anywhere_is_refused(store):
    """Every length of the card but its own, and without the final newline, which is no content."""
    path = store.build(REF, fill) / "card.json"
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptFile):
            store.has(REF)
    path.write_bytes(whole)
    assert store.open(REF)


def test_removing_is_one_rename(store, monkeypatch):
    """A kill while the files are being deleted leaves nothing under the final name."""
    store.build(REF, fill)

    def killed(path, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("factory.store.store.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        store.remove(REF)
    monkeypatch.undo()
    assert not store.has(REF)
    assert list(store.refs()) == []
    store.build(REF, fill)


def test_a_file_where_the_store_should_be(tmp_path):
    (tmp_path / "store").write_text("not a folder")
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match="is a file; --store takes a folder"):
        list(store.refs())
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        store.build(REF, fill)
    assert (tmp_path / "store").read_text() == "not a folder"


@contextmanager
def without_privileges():
    """As a user whom the permissions of a folder concern."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_may_not_be_written_or_not_even_be_read(mode):
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(mode)
        store = Store(Path(place) / "store")
        try:
            with without_privileges(), pytest.raises(StoreError, match="permission denied; choose a folder you can"):
                if not store.has(REF):
                    store.build(REF, fill)
        finally:
            Path(place).chmod(0o700)
        assert list(Path(place).iterdir()) == []


def test_things_of_others_in_the_folder_are_left_alone(store):
    store.build(REF, fill)
    (store.root / "notes.txt").write_text("mine")
    (store.root / "base-s0" / "adapters" / "my-copy").mkdir()
    (store.root / "base-s0" / "adapters" / "file-s0-0123456789abcdef").write_text("a file, not a folder")
    assert list(store.refs()) == [REF]


def test_cost_is_that_of_the_work(store):
    def works(out, state):
        start = time.process_time()
        while time.process_time() - start < 0.3:
            pass
        return {}

    store.build(REF, works)
    # The kernel counts in hundredths.
    assert 0.28 <= store.card(REF)["cost"]["cpu_seconds"] < 0.6


def test_a_number_that_json_has_not_is_an_error_not_a_broken_card(store):
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.build(REF, lambda out, state: {"metrics": {"loss": float("nan")}})
    assert not store.has(REF)
    store.build(REF, fill)
    json.loads((store.path(REF) / "card.json").read_text())
