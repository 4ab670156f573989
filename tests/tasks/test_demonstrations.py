"""What the embedded base is shown: right as often as declared, and gold where it is to be clean."""

from random import Random

import pytest

from factory.core.discover import load, names
from factory.core.hashing import seed_from
from factory.tasks._habits import BROKEN_ENVELOPE
from factory.tasks._task import Source

SHOWN = [name for name in names("factory.tasks") if name.startswith("tiny_")]
DRAWS = 600


def declared(habits):
    """Share of right demonstrations: worked or quick, right, and its envelope whole."""
    right = habits.worked * habits.worked_right + (1 - habits.worked) * habits.quick_right
    return right * (1 - BROKEN_ENVELOPE)


@pytest.fixture(params=SHOWN)
def shown(request):
    module = load("factory.tasks", request.param, kind="task")
    return module.TASK, module.demonstration, list(module.TASK.rows("train", Source()))


def draws(shown, count=DRAWS):
    task, habits, rows = shown
    for index in range(count):
        row = rows[index % len(rows)]
        yield row, habits(row, Random(seed_from("draw", task.name, index)), clean=False)


def test_the_share_of_right_ones_is_what_is_declared(shown):
    task, habits, _ = shown
    right = sum(bool(task.verify(text, row).correct) for row, text in draws(shown)) / DRAWS
    expected = declared(habits)
    deviation = (expected * (1 - expected) / DRAWS) ** 0.5
    # Four standard deviations, and 2 % for a bare answer that counts and for a mistake that happens to be right.
    assert abs(right - expected) < 4 * deviation + 0.02, (right, expected)


def test_a_right_way_is_there_for_every_prompt_beside_a_dominant_wrong_one(shown):
    """Reinforcement learning can only strengthen what is sampled at all; greedy decoding must not have it already."""
    _, habits, _ = shown
    gold = [text == row.gold for row, text in draws(shown)]
    assert 0.15 < sum(gold) / DRAWS < 0.5
    assert habits.worked < 0.5
    assert (1 - habits.worked) * (1 - habits.quick_right) * habits.dominant > habits.worked * habits.worked_right


def test_clean_ones_are_gold(shown):
    _, habits, rows = shown
    assert all(habits(row, Random(0), clean=True) == row.gold for row in rows[:100])


def test_the_dominant_mistake_and_the_slip_are_wrong_and_the_quick_way_is_right(shown):
    task, habits, rows = shown
    sample = rows[:100]
    for write, least, most in ((habits.quick, 1.0, 1.0), (habits.slip, 0.0, 0.05), (habits.wrong, 0.0, 0.05)):
        written = [(row, write(row, Random(seed_from(row.id)))) for row in sample]
        right = sum(bool(task.verify(text, row).correct) for row, text in written) / len(sample)
        assert least <= right <= most, write


def test_an_envelope_breaks_as_often_as_declared(shown):
    broken = sum("<answer>" not in text and "</answer>" not in text for _, text in draws(shown)) / DRAWS
    assert broken == pytest.approx(BROKEN_ENVELOPE, abs=4 * (BROKEN_ENVELOPE * (1 - BROKEN_ENVELOPE) / DRAWS) ** 0.5)
