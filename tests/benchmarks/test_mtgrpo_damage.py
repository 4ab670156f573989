"""MT-GRPO's files missing, cut off or laid out in another way: one line that says which file, row and what to do."""

import re

import pyarrow
import pyarrow.parquet
import pytest

from factory.benchmarks._benchmark import load_benchmark
from factory.core.errors import BadInput
from factory.tasks import novel_ops
from factory.tasks._find import find_task
from factory.tasks._style import RAW_FRAME
from factory.tasks._task import Source


def row(numbers="1,2,3", target=6, **changes):
    text = RAW_FRAME.replace("{question}", f"Using the numbers [{numbers}], create {target}.")
    return {
        "data_source": "countdown-easy-test",
        "prompt": [{"content": text, "role": "user"}],
        "reward_model": {"ground_truth": {"numbers": numbers, "target": target}, "style": "rule"},
        "extra_info": {"difficulty": 1, "index": 0},
        **changes,
    }


@pytest.fixture
def mirror(tmp_path):
    (tmp_path / "mtgrpo").mkdir()

    def write(rows, name="countdown_test"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "mtgrpo" / f"{name}.parquet")
        return Source(tmp_path)

    return write


def items(source):
    return list(load_benchmark("mtgrpo_countdown").items("test", source))


def test_a_whole_file_is_read(mirror):
    (item,) = items(mirror([row()]))
    assert (item.id, item.raw, item.question) == ("countdown-easy-test-0", True, "Using the numbers [1,2,3], create 6.")
    assert load_benchmark("mtgrpo_countdown").verify(item.gold, item).correct


@pytest.mark.parametrize(
    "rows, says",
    [
        ([row(), row(prompt=None)], "row 1: no list in 'prompt'"),
        ([row(prompt=[])], "countdown_test.parquet, row 0: expected prompt[0].content"),
        ([row(reward_model={"ground_truth": {"numbers": "1,2"}})], "row 0: expected prompt[0].content"),
        ([row(extra_info={"index": 0})], "difficulty (KeyError: 'difficulty'); the file is not MT-GRPO's"),
        ([row(numbers="1,1,1", target=900)], "no expression of 1,1,1 comes to 900"),
    ],
)
def test_another_layout_is_told(mirror, rows, says):
    with pytest.raises(BadInput, match=re.escape(says)) as told:
        items(mirror(rows))
    assert "\n" not in str(told.value)


def test_missing_and_cut_off_files_are_named(mirror, tmp_path):
    source = mirror([row()])
    path = tmp_path / "mtgrpo" / "countdown_test.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput, match=r"countdown_test\.parquet: cannot be read as rows .* copy it again"):
        items(source)
    path.unlink()
    with pytest.raises(BadInput, match=r"countdown_test\.parquet: no such file in the mirror"):
        items(source)


@pytest.mark.parametrize("name", ["countdown", "zebra", "arc_1d"])
def test_the_papers_way_to_evaluate_is_pinned(name):
    benchmark = load_benchmark(f"mtgrpo_{name}")
    pinned = {key: benchmark.decoding()[key] for key in ("samples", "temperature", "top_p", "max_new_tokens")}
    assert pinned == {"samples": 8, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 4096}
    assert benchmark.chat is False


def test_a_limit_makes_no_more_items_than_it_asks_for():
    before = novel_ops._LEVELS[6]._index
    assert len(load_benchmark("novel_ops@level6").asked("test", Source(), 2, 0)) == 2
    assert novel_ops._LEVELS[6]._index - before < 100


def test_there_are_test_rows_only(mirror):
    with pytest.raises(BadInput, match="mtgrpo_countdown has test rows only, no dev split"):
        load_benchmark("mtgrpo_countdown").items("dev", mirror([row()]))


def test_training_rows_that_are_test_rows_or_come_twice_are_refused(mirror):
    mirror([row("3,1,2")])
    source = mirror([row(), row("4,5", 9), row("5,4", 9), row("2,2", 4)], "countdown_train")
    task = find_task("mtgrpo_countdown")
    assert [one.where for one in task.refused(source)] == [
        "mtgrpo/countdown_train.parquet, row 0",
        "mtgrpo/countdown_train.parquet, row 2",
    ]
    counts = task.counts(source)
    assert (counts["train"] + counts["dev"], counts["test"], counts["refused"]) == (2, 1, 2)
