"""The real rows of an offline mirror, where there is one: their counts, as the mirror's own notes give them."""

import os
from collections import Counter
from pathlib import Path

import pytest

from factory.core.errors import BadInput
from factory.tasks._find import find_task
from factory.tasks._task import Source

DATA = os.environ.get("FACTORY_DATA")
pytestmark = pytest.mark.skipif(DATA is None, reason="reads the mirror, and FACTORY_DATA is not set")
SOURCE = Source(Path(DATA or "."))

# Rows in the files, by where they go; what is refused is said below, by reason.
COUNTS = {
    "gsm8k": ({"train": 7473, "test": 1319}, {}),
    "math": ({"train": 7474, "test": 5000}, {"it has no answer": 4, "the same question": 2}),
    "mbpp": ({"train": 374, "dev": 90, "test": 500}, {}),
    "mbpp:sanitized": ({"train": 120, "dev": 43, "test": 257}, {}),
    "mtgrpo_math": ({"train": 11_499}, {"it has no answer": 2, "the same question": 1}),
    "spider": (
        {"train": 7000, "test": 523},
        {"no database": 96, "the same question": 8, "its gold query": 254, "gold query '": 3},
    ),
}


def kind(reason, kinds):
    return next((kind for kind in kinds if reason.startswith(kind)), reason)


@pytest.mark.parametrize("name", COUNTS)
def test_every_row_of_the_files_is_a_question_or_refused_by_name(name):
    in_files, refused = COUNTS[name]
    task = find_task(name)
    rows = {split: len(task.rows(split, SOURCE)) for split in task.splits}
    assert rows.get("test") == in_files.get("test")
    found = task.refused(SOURCE)
    assert Counter(kind(one.reason, refused) for one in found) == refused
    assert sum(rows.values()) + len(found) == sum(in_files.values())
    counted = task.counts(SOURCE)
    assert "unchecked" not in counted
    assert {key: counted[key] for key in (*rows, "refused")} == {**rows, "refused": len(found)}


def test_the_development_slices_are_about_a_twentieth():
    for name in ("gsm8k", "math", "mtgrpo_math"):
        task = find_task(name)
        train, dev = (len(task.rows(split, SOURCE)) for split in ("train", "dev"))
        assert 0.04 < dev / (train + dev) < 0.06


def test_spiders_three_upstream_errors_are_named_with_their_reasons():
    found = [one for one in find_task("spider").refused(SOURCE) if one.reason.startswith("gold query")]
    assert [one.where.rpartition(" ")[2] for one in found] == ["3153", "4513", "4514"]
    assert found[0].reason.endswith("no such table: Ref_Company_Types")
    for one in found[1:]:
        assert one.reason.endswith("ORDER BY clause should come after INTERSECT not before")


def test_no_schema_of_spiders_held_out_rows_is_trained_on():
    task = find_task("spider")
    held = [{Path(row.reference["databases"][0]).stem for row in task.rows(split, SOURCE)} for split in task.splits]
    assert not held[0] & held[1]
    assert not (held[0] | held[1]) & held[2]


def test_gsm8ks_calculator_marks_are_not_in_its_golds():
    task = find_task("gsm8k")
    assert not [row.id for split in task.splits for row in task.rows(split, SOURCE) if "<<" in row.gold]


def test_a_level_has_its_rows_alone():
    rows = find_task("math@level5").rows("test", SOURCE)
    assert len(rows) == 1324  # Hendrycks et al. 2021: level 5 of the test split
    assert {row.difficulty for row in rows} == {5}


def test_rows_that_hold_the_benchmark_have_no_test_split_and_say_so():
    task = find_task("mtgrpo_math")
    assert "4,000 of the 5,000" in task.summary
    with pytest.raises(BadInput, match="mtgrpo_math has no test split, only train and dev"):
        task.rows("test", SOURCE)
    tested = {row.question for row in find_task("math").rows("test", SOURCE)}
    trained = {row.question for split in task.splits for row in task.rows(split, SOURCE)}
    assert 3_990 <= len(tested & trained) <= 4_000
