"""Strategies compared: worst task, average, relative change, thresholds, at equal steps and at equal samples."""

import json
import math

import numpy as np
import pytest
from synthetic_joint import joint_study

from factory.analysis.joint import Group, Run
from factory.analysis.joint_table import print_joint, reached_text
from factory.analysis.over_seeds import median_reached, over_seeds
from factory.analysis.overview import overview
from factory.analysis.standing import comparisons, thresholds
from factory.analysis.trajectories import Trajectory
from factory.report.build import build_report


def trajectory(per_step: float, last: int) -> Trajectory:
    steps = np.arange(1.0, last + 1)
    return Trajectory(steps, per_step * steps, {"a": np.full(last, 0.5)}, {}, {})


def run(variant, seed, curve, *, per_step=10.0, every=10):
    """A run whose curve is a list of (accuracy on a, accuracy on b), every ten steps from 0."""
    last = every * (len(curve) - 1)
    steps, accuracy = np.arange(0.0, last + 1, every), np.array(curve, dtype=float)
    return Run(variant, seed, last, None, accuracy[-1], steps, accuracy, trajectory(per_step, last))


def group(*runs, items=100):
    variants = tuple(dict.fromkeys(one.variant for one in runs))
    seeds = tuple(sorted({one.seed for one in runs}))
    return Group(("a", "b"), variants, seeds, {(r.variant, r.seed): r for r in runs}, "sampled", items, items)


@pytest.fixture
def two():
    return group(
        run("adapter:u", 0, [(0.1, 0.1), (0.6, 0.2), (0.8, 0.2)]),
        run("adapter:u", 1, [(0.1, 0.1), (0.5, 0.1), (0.6, 0.4)]),
        run("adapter:m", 0, [(0.1, 0.1), (0.3, 0.4), (0.4, 0.5)], per_step=20.0),
        run("adapter:m", 1, [(0.1, 0.1), (0.2, 0.6), (0.9, 0.6)], per_step=20.0),
    )


def test_at_the_last_step_the_worst_task_is_taken_seed_by_seed(two):
    end = comparisons(two, None)[0]
    u, m = end.standings
    assert (end.axis, end.at) == ("steps", 20)
    assert u.worst.seeds == pytest.approx((0.2, 0.4)) and u.worst.value == pytest.approx(0.3)
    assert m.worst.seeds == pytest.approx((0.4, 0.6)) and m.average.seeds == pytest.approx((0.45, 0.75))
    assert (u.samples.value, m.samples.value) == (200, 400)
    (difference,) = end.against["adapter:u"]
    assert difference.worst.seeds == pytest.approx((0.2, 0.2))
    # (0.4 - 0.8) / 0.8 = -1/2 and (0.5 - 0.2) / 0.2 = 3/2; (0.9 - 0.6) / 0.6 and (0.6 - 0.4) / 0.4 are 1/2 each
    assert difference.relative.seeds == pytest.approx((0.5, 0.5))


def test_equal_samples_are_what_the_cheapest_run_took_and_lie_between_points(two):
    steps, samples = comparisons(two, ["m"])
    assert samples.at == 200  # all of u, and m's first ten steps
    u, m = samples.standings
    assert m.worst.seeds == pytest.approx((0.3, 0.2))
    assert u.worst.seeds == pytest.approx((0.2, 0.4))
    assert list(steps.against) == ["adapter:m"]
    longer = group(*two.runs.values(), run("adapter:u", 2, [(0.1, 0.1), (0.3, 0.5), (0.5, 0.7)], per_step=15.0))
    assert longer.runs["adapter:u", 2].at_samples(225) == pytest.approx([0.4, 0.6])  # 15 steps: half between
    assert longer.runs["adapter:u", 0].at_samples(225) is None  # it never took so many


def test_a_threshold_is_reached_at_the_first_point_or_said_not_to_be(two):
    found = {(one.variant, one.threshold): one for one in thresholds(two, [0.1, 0.3, 0.6, 0.9])}
    assert found["adapter:u", 0.1].steps == [0, 0]
    assert found["adapter:m", 0.3].steps == [10, 20]
    assert found["adapter:m", 0.3].samples == [200, 400]
    assert reached_text(found["adapter:u", 0.9]) == "not reached (0 of 2 seeds)"
    assert found["adapter:m", 0.6].steps == [None, 20]
    assert reached_text(found["adapter:m", 0.6]) == "not reached (never, 20)"  # half of the seeds is not a median


def test_a_reference_with_a_task_at_nothing_has_no_relative_change():
    pair = group(run("adapter:u", 0, [(0, 0), (0.5, 0.0)]), run("adapter:m", 0, [(0, 0), (0.5, 0.2)]))
    (difference,) = comparisons(pair, None)[0].against["adapter:u"]
    assert difference.relative is None
    assert difference.worst.value == pytest.approx(0.2) and difference.worst.low is None


def test_intervals_over_seeds_are_students():
    mean = over_seeds([0.1, 0.2, 0.3], test=True)
    half = 4.302652729696142 * 0.1 / math.sqrt(3)  # t(2) at 97.5 %
    assert (mean.low, mean.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert mean.p == pytest.approx(0.07417990022744862)  # t = 3.4641 with 2 degrees of freedom
    assert over_seeds([0.1, None]).low is None
    assert over_seeds([None]) is None
    # Seeds that agree by chance: as if one of 98 items differed.
    assert over_seeds([0.5, 0.5, 0.5], items=98).half_width == pytest.approx(4.302652729696142 * 0.01 / math.sqrt(3))


def test_the_median_counts_never_as_later_than_any_time():
    assert median_reached([30, None, 10]) == 30
    assert median_reached([None, None, 10]) is None
    assert median_reached([20, 40]) == 30
    assert median_reached([]) is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    store, folder = joint_study(tmp_path_factory.mktemp("joint"), against=["uniform", "dapo"], thresholds=[0.3, 0.5])
    return store, folder, overview(store, folder)


def test_a_study_is_read_back_from_its_cells_and_logs(whole):
    _, _, found = whole
    (one,) = found.groups
    assert one.variants == ("adapter:uniform", "adapter:dapo", "adapter:mt_grpo")
    assert (one.items, one.curve_items) == (200, 100)
    middle = one.runs["adapter:mt_grpo", 1]
    assert list(middle.steps) == [0, 10, 20, 30, 40]
    assert middle.worst == pytest.approx([0.1, 0.25, 0.4, 0.55, 0.7], abs=0.011)
    assert middle.samples() == pytest.approx([0, 800, 1600, 2400, 3200])
    assert middle.trajectory.adaptive and not one.runs["adapter:dapo", 1].trajectory.adaptive
    steps, samples = comparisons(one, ["uniform", "dapo"])
    assert samples.at == 1600
    assert [s.worst.value for s in steps.standings] == pytest.approx([0.3, 0.5, 0.7])
    assert [s.worst.value for s in samples.standings] == pytest.approx([0.3, 0.3, 0.4], abs=0.011)


def test_the_text_says_when_and_how_much(whole):
    text = print_joint(whole[2].groups, whole[2].asked)
    assert "uniform   40 (never, 40, 40)         not reached (0 of 3 seeds)" in text
    assert "mt_grpo   +40.0 ±1.2*  +15.0 ±1.2*  +61.2 ±5.4" in text
    assert "against dapo, after 1,600 generated samples, points" in text
    assert "mt_grpo   tiny_math  0.49" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_page_and_the_numbers_have_the_section(whole):
    store, folder, _ = whole
    page = build_report(store, folder).read_text()
    assert 'id="joint"' in page and "Weights and shares" in page
    (numbers,) = json.loads((folder / "matrix.json").read_text())["joint"]
    assert len(numbers["runs"]) == 9
    run_json = next(one for one in numbers["runs"] if one["variant"] == "adapter:mt_grpo")
    assert run_json["trajectory"]["weights"]["tiny_math"][-1] == pytest.approx(0.18)
    assert numbers["thresholds"][0] == {
        "variant": "adapter:uniform",
        "threshold": 0.3,
        "steps": [None, 40.0, 40.0],
        "samples": [None, 1600.0, 1600.0],
        "reached": 2,
        "seeds": 3,
        "median_steps": 40.0,
    }


def test_without_curves_or_with_one_strategy_nothing_is_made_up(tmp_path):
    store, folder = joint_study(tmp_path, seeds=(1,), against=["dapo"])
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "points": []}))
    found = overview(store, folder)
    text = print_joint(found.groups, found.asked)
    assert "No learning curves" in text and "One seed: no interval" in text and "reach" not in text
    assert "±" not in text
    lone = {**card, "variants": card["variants"][:2], "points": []}
    lone["cells"] = [ref for ref in card["cells"] if "dapo" not in ref["name"] and "mt_grpo" not in ref["name"]]
    (folder / "card.json").write_text(json.dumps(lone))
    assert overview(store, folder).groups == []
