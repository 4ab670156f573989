"""Hand-computed values, Miller's formula as the reference, and coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from factory.analysis.statistics import detectable, difference, holm, mean, ratio
from factory.core.hashing import seed_from

NAN = math.nan


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_wilson_of_greedy_answers_is_the_textbook_value() -> None:
    # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3.
    for right, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        estimate = mean(column(*[1.0] * right, *[0.0] * (n - right)))
        assert estimate is not None
        assert estimate.value == pytest.approx(right / n)
        assert (round(estimate.low, 4), round(estimate.high, 4)) == (low, high)


def test_clustered_standard_error_by_hand() -> None:
    # Item means 0, 1/2, 1: mean 1/2, deviations -1/2, 0, 1/2; variance of the mean = (1/4 + 0 + 1/4) / (3 * 2) = 1/12.
    estimate = mean(column(0.0, 0.5, 1.0))
    assert estimate is not None
    assert (estimate.value, estimate.items) == (0.5, 3)
    assert estimate.se == pytest.approx(math.sqrt(1 / 12))


@given(hnp.arrays(np.int8, st.tuples(st.integers(2, 12), st.integers(1, 5)), elements=st.integers(0, 1)))
def test_equals_the_clustered_formula_of_miller(scores: np.ndarray) -> None:
    """SE_clustered of arXiv 2411.00640, written out sample by sample, times C/(C-1)."""
    items, samples = scores.shape
    centred = scores - scores.mean()
    within = sum(centred[c, i] * centred[c, j] for c in range(items) for i in range(samples) for j in range(samples))
    expected = within / scores.size**2 * items / (items - 1)
    estimate = mean(scores.mean(axis=1, keepdims=True))
    assert estimate is not None
    assert estimate.se**2 == pytest.approx(expected, abs=1e-12)


def test_samples_of_one_item_do_not_count_as_items() -> None:
    once = mean(column(*[0.0, 1.0] * 10))
    as_if_independent = mean(column(*[0.0, 1.0] * 40))
    assert once is not None and as_if_independent is not None
    assert once.half_width > 1.8 * as_if_independent.half_width


def test_nothing_right_still_has_an_upper_end() -> None:
    none = mean(np.zeros((60, 3)))
    assert none is not None
    assert none.low == 0
    assert none.high == pytest.approx(1.96**2 / (60 + 1.96**2), abs=1e-4)


def test_unscorable_items_are_left_out_not_wrong() -> None:
    estimate = mean(column(1.0, NAN, 1.0, NAN))
    assert estimate is not None
    assert (estimate.value, estimate.items) == (1.0, 2)
    assert mean(column(NAN, NAN)) is None
    assert difference(column(NAN), column(1.0)) is None


def test_paired_difference_by_hand() -> None:
    # Differences 1, 0, 1, 0: mean 1/2, variance of the mean = 4 * (1/4) / (4 * 3) = 1/12, t(3) = 3.18245.
    change = difference(column(0, 0, 0, 1), column(1, 0, 1, 1))
    assert change is not None
    assert change.value == 0.5
    assert change.se == pytest.approx(math.sqrt(1 / 12))
    assert change.low == pytest.approx(0.5 - 3.182446 * math.sqrt(1 / 12), abs=1e-6)
    assert change.p == pytest.approx(0.1817, abs=1e-4)  # two-sided t = 1.7320508 with 3 degrees of freedom


def test_pairing_beats_two_separate_intervals() -> None:
    rng = np.random.default_rng(seed_from("pairing"))
    easy = rng.random((200, 1))
    before, after = (easy > 0.6).astype(float), (easy > 0.5).astype(float)
    change, alone = difference(before, after), mean(before)
    assert change is not None and alone is not None
    assert change.is_real
    assert change.half_width < 0.7 * math.sqrt(2) * alone.half_width


def test_two_variants_that_agree_are_not_known_to_be_equal() -> None:
    same = difference(np.ones((60, 1)), np.ones((60, 1)))
    assert same is not None
    assert same.value == 0
    assert same.low < -0.02 and same.high > 0.02


def test_the_difference_only_counts_items_that_both_have() -> None:
    change = difference(column(0, NAN, 1, 0), column(1, 1, NAN, 0))
    assert change is not None
    assert (change.value, change.items) == (0.5, 2)


def test_seeds_mean_spread_and_variance_by_hand() -> None:
    # Items 0.2/0.4 at one seed, 0.6/0.8 at the other: no interaction; V_item = .1^2 = .01, V_seed = .2^2 = .04.
    estimate = mean(np.array([[0.2, 0.6], [0.4, 0.8]]))
    assert estimate is not None
    assert estimate.value == pytest.approx(0.5)
    assert estimate.seeds == pytest.approx((0.3, 0.7))
    assert estimate.spread == pytest.approx(0.4 / math.sqrt(2))
    assert estimate.se == pytest.approx(math.sqrt(0.01 + 0.04))


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(seed_from("seeds"))
    items = rng.random((80, 1)) * 0.4
    alike, apart = items + np.full((1, 3), 0.3), items + np.array([[0.1, 0.3, 0.5]])
    narrow, wide = mean(alike), mean(apart)
    assert narrow is not None and wide is not None
    assert wide.half_width > 3 * narrow.half_width


def test_ratio_by_hand_and_fieller() -> None:
    rng = np.random.default_rng(seed_from("ratio"))
    bottom = 0.5 + 0.2 * rng.normal(size=(100, 1))
    top = 0.5 * bottom + 0.02 * rng.normal(size=(100, 1))
    kept = ratio(top, bottom)
    assert kept is not None
    assert kept.value == pytest.approx(top.mean() / bottom.mean())
    # Fieller's closed form, with t(99).
    t2, cov = 1.9842169**2, np.cov(top.ravel(), bottom.ravel()) / 100
    a, b = bottom.mean() ** 2 - t2 * cov[1, 1], top.mean() * bottom.mean() - t2 * cov[0, 1]
    root = math.sqrt(b * b - a * (top.mean() ** 2 - t2 * cov[0, 0]))
    assert (kept.low, kept.high) == pytest.approx(((b - root) / a, (b + root) / a), abs=1e-6)


def test_no_ratio_where_there_was_no_sure_gain() -> None:
    assert ratio(column(1, 0, 0, 1), column(1, -1, 0, 1)) is None
    assert ratio(column(NAN), column(NAN)) is None


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_detectable_effect_is_the_usual_2_8_standard_errors() -> None:
    assert detectable(0.01) == pytest.approx(0.02802, abs=1e-5)


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.sampled_from([0.0, 0.25, 1.0, NAN])
    )
)
def test_the_interval_holds_the_value_and_stays_in_range(x: np.ndarray) -> None:
    estimate = mean(x)
    if estimate is None:
        assert np.isnan(x).all()
    else:
        assert 0 <= estimate.low <= estimate.value + 1e-12 and estimate.value <= estimate.high + 1e-12 <= 1 + 2e-12


def test_the_order_of_items_does_not_matter() -> None:
    rng = np.random.default_rng(seed_from("order"))
    x = rng.random((30, 3))
    a, b = mean(x), mean(x[::-1])
    assert a is not None and b is not None
    assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high))


@pytest.mark.parametrize(
    ("items", "seeds", "samples", "level", "seed_spread"),
    [(60, 1, 4, 0.0, 0.0), (60, 1, 1, -1.0, 0.0), (60, 1, 4, -4.0, 0.0), (60, 3, 4, 0.0, 0.0), (60, 3, 4, 0.0, 0.3)],
)
def test_coverage_of_the_mean(items: int, seeds: int, samples: int, level: float, seed_spread: float) -> None:
    """95 % intervals hold the true accuracy in 92.5 to 98 % of 1500 simulated studies."""
    rng = np.random.default_rng(seed_from("coverage", items, seeds, samples, level, seed_spread))
    size = 400_000
    true = _logistic(
        level + 1.5 * rng.normal(size=size) + seed_spread * rng.normal(size=size) + 0.5 * rng.normal(size=size)
    ).mean()
    hits = 0
    for _ in range(1500):
        easy = 1.5 * rng.normal(size=(items, 1)) + seed_spread * rng.normal(size=(1, seeds))
        right = _logistic(level + easy + 0.5 * rng.normal(size=(items, seeds)))
        estimate = mean(rng.binomial(samples, right) / samples)
        assert estimate is not None
        hits += estimate.low <= true <= estimate.high
    assert 0.925 <= hits / 1500 <= 0.98


def test_coverage_of_the_difference_and_the_ratio() -> None:
    rng = np.random.default_rng(seed_from("coverage of pairs"))
    hits_difference = hits_ratio = said = 0
    levels = np.array([-0.5, 0.5, 1.5])  # base, merge, specialist
    truth = _logistic(1.5 * rng.normal(size=(400_000, 1)) + levels).mean(axis=0)
    for _ in range(600):
        right = _logistic(1.5 * rng.normal(size=(80, 1)) + levels)
        base, merged, special = (rng.binomial(4, right[:, [i]]) / 4 for i in range(3))
        change = difference(base, merged)
        assert change is not None
        hits_difference += change.low <= truth[1] - truth[0] <= change.high
        kept = ratio(merged - base, special - base)
        if kept is not None:
            said += 1
            hits_ratio += kept.low <= (truth[1] - truth[0]) / (truth[2] - truth[0]) <= kept.high
    assert 0.925 <= hits_difference / 600 <= 0.975
    assert said > 540
    assert 0.925 <= hits_ratio / said <= 0.975


def test_false_alarms_are_as_rare_as_said() -> None:
    """Two variants that are equally good are called different in at most 6 of 100 comparisons."""
    rng = np.random.default_rng(seed_from("false alarms"))
    alarms = 0
    for _ in range(1000):
        right = _logistic(1.5 * rng.normal(size=(60, 1)))
        change = difference(rng.binomial(1, right).astype(float), rng.binomial(1, right).astype(float))
        assert change is not None
        alarms += change.is_real
    assert 0.02 <= alarms / 1000 <= 0.065


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
