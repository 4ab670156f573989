"""Files of rows, whole and damaged."""

import gzip
import json

import pyarrow
import pytest
from pyarrow import parquet

from factory.core.errors import BadInput, CorruptFile
from factory.tasks._find import find_task
from factory.tasks._rows import checked, read_rows
from factory.tasks._task import Source

ROWS = [{"a": 1, "b": "x\u2028y"}, {"a": 2, "b": "ü"}]
TEXT = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()


@pytest.fixture
def whole(tmp_path):
    """The same rows in each format."""
    (tmp_path / "rows.jsonl").write_bytes(TEXT)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(TEXT))
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "rows.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    return tmp_path


FORMATS = ("jsonl", "jsonl.gz", "json", "json.gz", "parquet")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_rows(whole, kind):
    assert read_rows(whole / f"rows.{kind}") == ROWS


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_off_anywhere_is_one_line_with_its_name(whole, kind, share):
    path = whole / f"rows.{kind}"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CorruptFile) as error:
        read_rows(path)
    assert str(error.value).startswith(f"{path}: cannot be read as rows (")
    assert str(error.value).endswith("; the file is damaged, copy it again")
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("kind", FORMATS)
def test_a_missing_file_is_bad_input(tmp_path, kind):
    with pytest.raises(BadInput, match=r"rows\..*: No such file or directory; expected a file of rows"):
        read_rows(tmp_path / f"rows.{kind}")


def test_columns_that_changed_are_named_with_those_that_are_there(tmp_path):
    (tmp_path / "mtgrpo").mkdir()
    table = pyarrow.Table.from_pylist([{"reward": "1", "extra_info": {"question": "q"}}])
    parquet.write_table(table, tmp_path / "mtgrpo" / "math_train.parquet")
    with pytest.raises(BadInput) as error:
        find_task("mtgrpo_math").rows("train", Source(tmp_path))
    said = "mtgrpo/math_train.parquet, row 0: no object in 'reward_model'; it has extra_info, reward"
    assert str(error.value) == said


@pytest.mark.parametrize("value", [None, "1", True, 1.5])
def test_a_field_of_another_kind_is_refused(value):
    with pytest.raises(BadInput, match="mine, row 1: no number in 'a'"):
        checked([{"a": 1}, {"a": value}], {"a": int}, "mine")


def test_rows_on_no_hub_ask_for_the_mirror():
    for name in ("mtgrpo_math", "spider"):
        with pytest.raises(BadInput, match=f"task {name}: its rows .* are not on the Hub; give an offline mirror"):
            find_task(name).fingerprint(Source())


def test_a_revision_and_a_mirror_do_not_go_together(tmp_path):
    with pytest.raises(BadInput, match="gsm8k@revision=abc: revisions are the Hub's"):
        find_task("gsm8k@revision=abc").fingerprint(Source(tmp_path))
    with pytest.raises(BadInput, match="did you mean 'revision'"):
        find_task("gsm8k@revison=abc")
    with pytest.raises(BadInput, match="did you mean 'sanitized'"):
        find_task("mbpp:sanitised")
