"""Rows drawn when looked at: only those, the same ones every time, none shared by neighbours, kept on disk."""

import json
import logging

import pytest

from factory.core.errors import WorkFailed
from factory.core.hashing import key_of
from factory.tasks import arc_1d, countdown, linear_equations, novel_ops, zebra
from factory.tasks._drawn import BLOCK, Draws, Interleaved, KeptDraws
from factory.tasks._find import find_task
from factory.tasks._style import Question
from factory.tasks._task import Source

SIZES = {"train": 70, "dev": 10, "test": 20}
CHEAP = [countdown, arc_1d, linear_equations, novel_ops]


class Maker:
    """Draws numbers below a limit, and counts how often it is asked."""

    def __init__(self, limit=10**9):
        self.limit, self.asked = limit, 0

    def __call__(self, rng):
        self.asked += 1
        number = rng.randrange(self.limit)
        return Question(key_of(number), f"Say {number}.", str(number), {"answer": str(number)}, "", 1), number


def ids(rows):
    return [row.id for row in rows]


def test_counting_makes_nothing_and_a_prefix_only_itself():
    make = Maker()
    draws = Draws(("x", 1, 1), SIZES, make)
    rows = draws("train", Source())
    assert (len(rows), make.asked) == (70, 0)
    first = rows[:5]
    assert 5 <= make.asked < 30
    assert ids(list(rows)[:5]) == ids(first)
    assert rows[-1].id == list(rows)[-1].id
    with pytest.raises(IndexError):
        rows[70]


def test_the_order_in_which_splits_are_looked_at_changes_nothing():
    one, other = Draws(("x", 1, 1), SIZES, Maker()), Draws(("x", 1, 1), SIZES, Maker())
    forward = {split: ids(one(split, Source())) for split in ("train", "dev", "test")}
    backward = {split: ids(other(split, Source())) for split in ("test", "dev", "train")}
    assert forward == backward
    everything = [name for found in forward.values() for name in found]
    assert len(set(everything)) == 100


def test_equal_content_comes_once_and_a_level_without_more_says_so():
    draws = Draws(("few", 1, 1), SIZES, Maker(limit=50), wasted=300)
    with pytest.raises(WorkFailed, match="few:1 has no more different rows than"):
        list(draws("train", Source()))


@pytest.mark.parametrize("parts", [("x", 1, 2), ("x", 2, 1), ("y", 1, 1)])
def test_another_level_version_or_task_shares_no_row(parts):
    one, other = (set(ids(Draws(p, SIZES, Maker())("train", Source()))) for p in (("x", 1, 1), parts))
    assert not one & other


@pytest.mark.parametrize("module", CHEAP, ids=lambda module: module.TASK.name)
def test_neighbouring_seeds_and_levels_share_no_row(module):
    """`Random(seed + index)` would give the second seed all rows but one of the first."""
    drawn = []
    for difficulty, draws in module._LEVELS.items():
        for version in (1, 2) if difficulty else ():  # tiny ones are so few that coincidences happen
            fresh = Draws((draws.parts[0], version, difficulty), {"train": 15, "dev": 2, "test": 5}, draws._make)
            drawn += [question.text + question.tail for question in fresh("train", Source())]
    assert len(set(drawn)) == len(drawn)


def test_levels_take_turns():
    levels = [Draws(("x", 1, level), SIZES, Maker()) for level in (1, 2, 3)]
    rows = Interleaved(levels)("dev", Source())
    assert len(rows) == 30
    assert ids(rows[:6]) == [levels[n % 3]("dev", Source())[n // 3].id for n in range(6)]
    bare = find_task("countdown").rows("test", Source())[:6]
    assert [row.difficulty for row in bare] == [1, 2, 3, 1, 2, 3]


def test_one_level_makes_no_rows_of_another():
    before = {difficulty: draws._index for difficulty, draws in novel_ops._LEVELS.items()}
    assert len(find_task("novel_ops@level5").rows("train", Source())[:3]) == 3
    after = {difficulty: draws._index for difficulty, draws in novel_ops._LEVELS.items()}
    assert {difficulty for difficulty in after if after[difficulty] != before[difficulty]} <= {5}
    assert after[5] >= 3


def kept(folder, make):
    return KeptDraws(("slow", 1, 1), SIZES, make, lambda: folder)("train", Source())


def test_kept_rows_are_not_made_again(tmp_path):
    make, again = Maker(), Maker()
    rows = list(kept(tmp_path, make))
    assert make.asked % BLOCK == 0
    assert list(kept(tmp_path, again)) == rows
    assert again.asked == 0


@pytest.mark.parametrize("content", ["", "[]", "[[1]]", '[[{"id": 1}, 2]]'])
def test_a_damaged_block_is_drawn_again(tmp_path, caplog, content):
    rows = list(kept(tmp_path, Maker()))
    block = sorted(tmp_path.glob("*.json"))[1]
    whole = block.read_text()
    block.write_text(content)
    with caplog.at_level(logging.WARNING):
        assert list(kept(tmp_path, Maker())) == rows
    assert "is damaged and drawn again" in caplog.text
    assert json.loads(block.read_text()) == json.loads(whole)


def test_rows_are_there_without_a_place_to_keep_them(tmp_path, caplog):
    taken = tmp_path / "file"
    taken.write_text("")
    with caplog.at_level(logging.WARNING):
        assert len(list(kept(taken / "folder", Maker()))) == 70
    assert "not kept" in caplog.text


def test_every_level_of_the_zebra_has_its_chance():
    chances = {level: find_task(f"zebra@{level}").chance for level in zebra.TASK.levels}
    assert chances == {"tiny": 0.5, "easy": 0.3333, "medium": 0.25, "hard": 0.2, "very_hard": 0.1667}
