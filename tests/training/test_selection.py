"""Filling a step: quotas under filters that differ by task, the fallback, what is never trained on."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from factory.core.records import Verdict
from factory.training.groups import Group
from factory.training.selection import Every, RatioPreserving, Refill, is_informative

SHARES = {"easy": 0.2, "middle": 0.3, "hard": 0.5}
SURVIVES = {"easy": 0.9, "middle": 0.5, "hard": 0.15}


def group(task: str, rewards) -> Group:
    return Group(task, 0, [], [[1] for _ in rewards], [Verdict.of(reward >= 1) for reward in rewards], list(rewards))


def source(survives, rng, counts_seen=None):
    """Groups that are informative with a chance of their task's own."""

    def draw(counts):
        if counts_seen is not None:
            counts_seen.append(dict(counts))
        return [
            group(task, [1.0, 0.0] if rng.random() < survives[task] else [0.0, 0.0])
            for task, count in counts.items()
            for _ in range(count)
        ]

    return draw


@pytest.mark.parametrize("resample", ["paper", "deficit"])
@pytest.mark.parametrize("inflate", [True, False])
def test_the_ratio_preserving_sampler_keeps_the_shares_under_unequal_filters(resample, inflate):
    """Chi-square of what is trained on against the weights, over 150 steps of 32; the plain refill fails it."""
    rng = np.random.default_rng(1)
    realised: dict[str, Counter] = {"ratio": Counter(), "refill": Counter()}
    sampler = RatioPreserving(inflate=inflate, resample=resample, max_rounds=60)
    for _ in range(150):
        for name, one in (("ratio", sampler), ("refill", Refill())):
            selected = one.select(source(SURVIVES, rng), SHARES, 32, rng)
            assert len(selected.groups) == 32
            realised[name].update(g.task for g in selected.groups)
    expected = [150 * 32 * share for share in SHARES.values()]
    p = {name: chisquare([found[task] for task in SHARES], expected).pvalue for name, found in realised.items()}
    assert p["ratio"] > 0.01
    assert p["refill"] < 1e-12


def test_quotas_are_kept_whenever_enough_survives():
    rng = np.random.default_rng(2)
    sampler = RatioPreserving()
    for _ in range(40):
        selected = sampler.select(source(SURVIVES, rng), SHARES, 16, rng)
        counts = Counter(g.task for g in selected.groups)
        if selected.rounds < sampler.max_rounds:
            assert {task: counts[task] for task in SHARES} == selected.quota


def test_inflation_draws_what_is_often_filtered_out_more_often():
    rng = np.random.default_rng(3)
    drawn: dict[bool, Counter] = {}
    for inflate in (True, False):
        sampler, first = RatioPreserving(inflate=inflate), Counter()
        for _ in range(60):
            seen: list[dict[str, int]] = []
            sampler.select(source(SURVIVES, rng, seen), SHARES, 16, rng)
            first.update(seen[0])
        drawn[inflate] = first
    assert drawn[True]["hard"] / drawn[True]["easy"] > 1.5 * drawn[False]["hard"] / drawn[False]["easy"]


def test_a_running_estimate_by_hand():
    """rho <- .9 rho + .1 * share filtered out, from 0, once a round; m = min(1 / (1 - rho), 5)."""
    sampler = RatioPreserving(max_rounds=1)
    sampler.select(lambda counts: [group("a", [0, 0]), group("a", [1, 0])], {"a": 1.0}, 2, np.random.default_rng(0))
    assert sampler.rejected == {"a": pytest.approx(0.05)}
    sampler.select(lambda counts: [group("a", [0, 0])], {"a": 1.0}, 1, np.random.default_rng(0))
    assert sampler.rejected == {"a": pytest.approx(0.9 * 0.05 + 0.1)}
    assert sampler._inflation("a") == pytest.approx(1 / (1 - 0.145))
    sampler.rejected = {"a": 0.99}
    assert sampler._inflation("a") == 5.0


def test_a_task_that_never_survives_leaves_its_places_to_the_others():
    rng = np.random.default_rng(4)
    selected = RatioPreserving(max_rounds=3).select(source({**SURVIVES, "hard": 0.0}, rng), SHARES, 16, rng)
    assert selected.rounds == 3
    assert selected.quota["hard"] > 0
    assert {g.task for g in selected.groups} == {"easy", "middle"}
    assert len(selected.groups) == 16


@pytest.mark.parametrize("sampler", [RatioPreserving(max_rounds=2), Refill(max_rounds=2)])
def test_too_little_of_everything_gives_a_smaller_step(sampler):
    rng = np.random.default_rng(5)
    selected = sampler.select(source(dict.fromkeys(SHARES, 0.05), rng), SHARES, 64, rng)
    assert 0 < len(selected.groups) < 64
    assert all(is_informative(g, "lenient") for g in selected.groups)
    nothing = sampler.select(source(dict.fromkeys(SHARES, 0.0), rng), SHARES, 8, rng)
    assert nothing.groups == []
    assert len(nothing.seen) >= 8


def test_strict_and_lenient_filters_differ_on_partial_rewards():
    assert is_informative(group("a", [0.1, 0.0]), "lenient")
    assert not is_informative(group("a", [0.1, 0.0]), "strict")  # nothing in it is correct
    assert is_informative(group("a", [1.0, 0.1]), "strict")
    assert not is_informative(group("a", [1.0, 1.1]), "strict")  # all of it is correct
    assert not is_informative(group("a", [0.1, 0.1]), "lenient")


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=5), st.integers(1, 9), st.integers(1, 30))
def test_every_keeps_the_shares_to_within_one_place(raw, size, steps):
    shares = {str(place): value / sum(raw) for place, value in enumerate(raw)}
    sampler, counts = Every(), Counter()
    for _ in range(steps):
        selected = sampler.select(
            lambda quota: [group(task, [1, 0]) for task, n in quota.items() for _ in range(n)],
            shares, size, np.random.default_rng(0),
        )  # fmt: skip
        assert len(selected.groups) == size
        counts.update(g.task for g in selected.groups)
        sampler.restore(json.loads(json.dumps(sampler.state())))
    assert all(abs(counts[task] - share * size * steps) < 1 + 1e-6 for task, share in shares.items())
