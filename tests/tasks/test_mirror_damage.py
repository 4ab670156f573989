"""A mirror with made-up rows: what is read of it, what is said when it is damaged, and what is unpacked once."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_mirror import TRAINED, write_mirror

from factory.core.errors import BadInput, CorruptFile
from factory.tasks import _spider_databases, spider
from factory.tasks._find import find_task
from factory.tasks._task import Source

HERE = Path(__file__).parent


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "mirror"
    folder.mkdir()
    return write_mirror(folder)


def rows(name, split, source):
    return find_task(name).rows(split, source)


def trained(source):
    return sorted((*rows("spider", "train", source), *rows("spider", "dev", source)), key=lambda row: row.prompt)


def test_what_a_mirror_holds_is_read(mirror):
    source = Source(mirror)
    assert len(rows("gsm8k", "train", source)) + len(rows("gsm8k", "dev", source)) == 50
    (row,) = rows("gsm8k", "test", source)[:1]
    assert row.gold == "50+50=100\n#### 100"
    (row,) = rows("spider", "test", source)
    assert row.prompt == "fruit(name, price)\n\nWhat is dear?\n\nAnswer with one SQL query."
    assert spider.verify("SELECT name FROM fruit WHERE price = 9", row).correct
    assert not spider.verify("SELECT name FROM fruit", row).correct


def test_rows_that_teach_nothing_are_left_out_and_listed(mirror):
    source = Source(mirror)
    assert {row.gold for row in trained(source)} == {TRAINED[0][1], TRAINED[3][1]}
    refused = {one.where: one.reason for one in find_task("spider").refused(source)}
    train = "spider/train_spider_syn.json.gz"
    assert set(refused) == {f"{train}, row {number}" for number in (1, 2, 4)}
    assert refused[f"{train}, row 1"] == "its gold query returns nothing"
    assert "no such column: colour" in refused[f"{train}, row 2"]
    assert refused[f"{train}, row 4"] == "no database nowhere in the mirror"
    assert find_task("spider").counts(source) == {
        "train": 2, "dev": 0, "test": 1, "refused": 3, "difficulty": None,
    }  # fmt: skip


MISSING = [
    ("gsm8k", "gsm8k/train.jsonl.gz"),
    ("gsm8k", "gsm8k/test.jsonl"),
    ("spider", "spider/tables.json"),
    ("spider", "spider/dev.json.gz"),
    ("spider", "spider/train_spider_syn.json.gz"),
    ("spider", "spider/database_train144.tar.xz"),
]


@pytest.mark.parametrize(("name", "file"), MISSING)
def test_a_missing_file_is_named_before_any_work(mirror, name, file):
    (mirror / file).unlink()
    task = find_task(name)
    with pytest.raises(BadInput, match=f"{mirror / file}: no such file in the mirror"):
        task.fingerprint(Source(mirror))


@pytest.mark.parametrize(("name", "file"), MISSING)
def test_a_file_that_is_cut_off_gives_one_clear_line(mirror, name, file):
    path = mirror / file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3 - 2])
    task = find_task(name)
    with pytest.raises(CorruptFile, match=str(path)) as error:
        for split in ("train", "dev", "test"):
            task.rows(split, Source(mirror))
    assert "copy it again" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("plain", "says"),
    [
        ([], "no rows"),
        ([{"question": "2 and 2?"}], "row 0: no text in 'answer'; it has question"),
        ([{"question": "2 and 2?", "answer": "4"}], "train.jsonl.gz, row 0: the answer has no '#### number'"),
        ([{"question": "2 and 2?", "answer": "#### four"}], "row 0: the gold answer 'four' is not a number"),
        ([["2 and 2?", "#### 4"]], "expected rows, each an object"),
    ],
)
def test_rows_of_another_shape_give_one_clear_line(mirror, plain, says):
    path = mirror / "gsm8k" / "train.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in plain).encode()))
    with pytest.raises(BadInput, match=says):
        rows("gsm8k", "train", Source(mirror))


def test_tables_of_another_shape_give_one_clear_line(mirror):
    (mirror / spider.TABLES).write_text(json.dumps([{"db_id": "shop"}]))
    with pytest.raises(BadInput, match=r"database 0: no 'table_names_original'"):
        rows("spider", "test", Source(mirror))


def test_the_fingerprint_follows_the_content_and_not_the_place(mirror, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    write_mirror(again)
    for task in (find_task("gsm8k"), find_task("spider")):
        assert task.fingerprint(Source(mirror)) == task.fingerprint(Source(again))
    (again / "gsm8k" / "test.jsonl").write_text((again / "gsm8k" / "test.jsonl").read_text() + "\n")
    changed = find_task("gsm8k")
    assert changed.fingerprint(Source(mirror)) != changed.fingerprint(Source(again))


def test_ids_do_not_depend_on_where_the_mirror_is(mirror, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    write_mirror(again)
    assert [row.id for row in trained(Source(mirror))] == [row.id for row in trained(Source(again))]


def test_nothing_is_written_into_the_mirror(mirror):
    before = sorted(mirror.rglob("*"))
    trained(Source(mirror))
    assert sorted(mirror.rglob("*")) == before


def unpacked(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache" / "lora-factory").iterdir() if path.is_dir())


def test_databases_are_unpacked_once(mirror, tmp_path):
    archive = mirror / spider.TRAIN_DATABASES
    folder = _spider_databases.unpacked(archive)
    moment = folder.stat().st_mtime_ns
    assert _spider_databases.unpacked(archive) == folder
    assert folder.stat().st_mtime_ns == moment
    assert len(unpacked(tmp_path)) == 1


def test_an_unpacking_that_was_cut_off_is_never_read(mirror, tmp_path):
    archive = mirror / spider.TRAIN_DATABASES
    folder = _spider_databases.unpacked(archive).parent
    # As a process killed midway leaves it: a part, under the name for what is not finished.
    half = folder.rename(folder.with_name(f".unpacking-{folder.name}"))
    (half / "database" / "market" / "market.sqlite").write_bytes(b"half")
    assert _spider_databases.unpacked(archive) == folder / "database"
    assert (folder / "database" / "market" / "market.sqlite").read_bytes().startswith(b"SQLite format 3\x00")
    assert unpacked(tmp_path) == [folder.name]


def test_a_damaged_archive_leaves_nothing_that_looks_finished(mirror, tmp_path):
    archive = mirror / spider.TRAIN_DATABASES
    archive.write_bytes(archive.read_bytes()[:-40])
    for _ in range(2):
        with pytest.raises(CorruptFile, match="copy it again"):
            _spider_databases.unpacked(archive)
    assert not [name for name in unpacked(tmp_path) if not name.startswith(".")]


def test_four_processes_unpack_it_together(mirror, tmp_path):
    code = "import sys, pathlib; from factory.tasks._spider_databases import unpacked; "
    code += "print(unpacked(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(mirror / spider.TRAIN_DATABASES)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(4)]
    answers = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    (answer,) = answers
    assert (Path(answer) / "market" / "market.sqlite").is_file()
    assert len(unpacked(tmp_path)) == 1
