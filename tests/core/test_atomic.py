"""Atomic files: whatever goes wrong while writing, what was there stays, and the error is one clear line."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.core.atomic import (
    clear_os_errors,
    publish_folder,
    read_json,
    read_jsonl,
    write_bytes,
    write_json,
    write_text,
)
from factory.core.errors import CorruptFile, StoreError


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_what_was_there_stays_when_writing_fails(tmp_path):
    """An error on the way leaves the old content and nothing beside it."""
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(TypeError):
        write_bytes(path, "not bytes")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": {"b": float("-inf")}}])
def test_numbers_json_has_not_are_refused_and_nothing_is_written(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "new" / "a.json", value)
    assert names(tmp_path) == []


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(JSON, max_size=4))
def test_json_comes_back_as_it_went(tmp_path_factory, values):
    """Line separators that are not newlines (U+2028, U+0085) included: they do not end a JSON line."""
    folder = tmp_path_factory.mktemp("json")
    write_json(folder / "a.json", values)
    assert read_json(folder / "a.json") == values
    write_text(folder / "a.jsonl", "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))
    assert read_jsonl(folder / "a.jsonl") == values


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"a": 1} x', b'{"a": "\xc3'])
def test_damaged_json_is_refused_by_name(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(CorruptFile) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: not valid JSON") and "run again" in str(caught.value)
    if content:
        path.write_bytes(b'{}\n\n"\xe2\x80\xa8"\n' + content + b"\n{}\n")
        with pytest.raises(CorruptFile) as caught:
            read_jsonl(path)
        assert str(caught.value).startswith(f"{path}, line 4: not valid JSON")


@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_is_not_published_over_another_unless_told(tmp_path, monkeypatch, at_once):
    if not at_once:  # a file system that cannot let folders change places
        monkeypatch.setattr("factory.core.atomic._exchange", lambda *folders: False)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(OSError) as caught:
        publish_folder(tmp_path / "new", tmp_path / "old")
    assert caught.value.errno == errno.ENOTEMPTY
    assert (tmp_path / "old" / "file").read_text() == "old"
    publish_folder(tmp_path / "new", tmp_path / "old", replace=True)
    assert (tmp_path / "old" / "file").read_text() == "new"
    assert names(tmp_path) == ["old"]


WATCHED = """
import sys
from pathlib import Path
from factory.core import atomic

def write(name):
    folder = root / name
    folder.mkdir(exist_ok=True)
    for file in "abc":
        (folder / file).write_text(name)
    return folder

root, number = Path(sys.argv[1]), 0
atomic.sync_folder = lambda folder: None  # the disk's speed is not what is looked at
while True:
    number += 1
    atomic.publish_folder(write(f"new-{number}"), root / "place", replace=True)
    print(number, flush=True)
"""


def test_a_process_killed_while_it_replaces_a_folder_leaves_a_whole_one(tmp_path):
    """Looked at without a pause and killed at a random moment: the place always holds one version, and all of it."""
    writer = subprocess.Popen([sys.executable, "-c", WATCHED, tmp_path], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "1\n"
    place = tmp_path / "place"
    assert all(place.is_dir() for _ in range(50_000))
    writer.kill()
    writer.wait()
    assert writer.stdout.read().count("\n") > 20
    found = {(tmp_path / "place" / file).read_text() for file in "abc"}
    assert len(found) == 1


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "store").write_text("a file")
    for path in (tmp_path / "store" / "a.json", tmp_path / "store" / "deep" / "a.json"):
        with pytest.raises(StoreError, match="a file stands where a folder is needed; choose another folder"):
            write_json(path, {})
    assert (tmp_path / "store").read_text() == "a file"


def test_a_folder_one_may_not_write_to(tmp_path, monkeypatch):
    """Root may write anywhere, so root becomes nobody for the moment; paths are relative to pass its own folders."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "locked").mkdir(mode=0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(StoreError) as caught:
            write_json(Path("locked") / "a.json", {})
    finally:
        os.seteuid(user)
    assert str(caught.value).endswith("permission denied; choose a folder you can write to with --store")
    assert "locked" in str(caught.value)
    assert isinstance(caught.value.__cause__, PermissionError)
    assert names(tmp_path / "locked") == []


def test_other_errors_pass_through(tmp_path):
    with pytest.raises(KeyError, match="mine"), clear_os_errors(tmp_path):
        raise KeyError("mine")
    with pytest.raises(FileNotFoundError), clear_os_errors(tmp_path):
        (tmp_path / "none").read_text()
    refused = StoreError("said already")
    with pytest.raises(StoreError) as caught, clear_os_errors(tmp_path):
        raise refused
    assert caught.value is refused


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB, if this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system to fill")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_keeps_the_old_file_and_no_half_of_the_new(small_disk):
    path = small_disk / "file"
    write_bytes(path, b"old")
    with pytest.raises(StoreError) as caught:
        write_bytes(path, bytes(4 << 20))
    assert str(caught.value).startswith("cannot write ")
    assert str(caught.value).endswith("the disk is full; free some space and run the same command again")
    assert path.read_bytes() == b"old"
    assert names(small_disk) == ["file"]
    write_bytes(path, bytes(1 << 20))  # and the space is free again


def test_a_library_that_hides_a_full_disk_is_seen_through(small_disk):
    """Some raise an error of their own without an errno; with space left, such an error is somebody else's."""
    with pytest.raises(RuntimeError), clear_os_errors(small_disk / "a" / "b"):
        raise RuntimeError("PytorchStreamWriter failed")
    (small_disk / "filler").write_bytes(bytes(3 << 19))
    with pytest.raises(StoreError, match="the disk is full"), clear_os_errors(small_disk / "a" / "b"):
        raise RuntimeError("PytorchStreamWriter failed")
