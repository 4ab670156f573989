"""Generated rows: the share of each split, and rows that do not depend on how many are drawn."""

from collections import Counter

from factory.tasks._generated import Draft, generated
from factory.tasks._task import split_of


def make(rng):
    number = rng.randint(0, 5000)
    return Draft(f"Say {number}.", str(number), {"answer": str(number)})


def test_the_splits_are_seventy_ten_twenty():
    counts = Counter(split_of("prompt", index) for index in range(20_000))
    for split, share in (("train", 0.7), ("dev", 0.1), ("test", 0.2)):
        assert abs(counts[split] / 20_000 - share) < 0.015


def test_a_prompt_comes_once_and_more_rows_only_add():
    few, many = generated("x", 1, 1000, make), generated("x", 1, 3000, make)
    for split in ("train", "dev", "test"):
        assert many[split][: len(few[split])] == few[split]
        assert len({row.prompt for row in many[split]}) == len(many[split])
        assert all(split_of(row.gold) == split for row in many[split])


def test_another_version_or_name_draws_other_rows():
    one = generated("x", 1, 200, make)["train"]
    assert one != generated("x", 2, 200, make)["train"]
    assert one != generated("y", 1, 200, make)["train"]
    assert one == generated("x", 1, 200, make)["train"]
