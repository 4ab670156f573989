"""Task weights: trajectories computed by hand, and properties that hold for any history."""

import json
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.training.weighting import Bandit, ImprovementAware, Seen

THREE = ["a", "b", "c"]


def test_the_papers_rule_by_hand():
    """Two tasks, lambda 0.5, c 0.1, rate 0.025, no decay.

    Step 1: s_a = clip(0.3) + .5 * .8 = .1 + .4 = .5; s_b = clip(-.04) + .5 * .2 = -.04 + .1 = .06; z = (.5, .5);
    <z, s> = .28; g = (.5 * .22, .5 * -.22) = (.11, -.11). Adam's first step is rate * sign(g): xi = (-.025, .025).
    Step 2: z_a = 1 / (1 + e^.05) = .487502604; s_a = .02 + .5 * .6 = .32; s_b = .1 + .5 * .4 = .3;
    <z, s> = .309750052; g_a = .487502604 * .010249948 = .004996876 = -g_b. With b1 = .9, b2 = .999:
    m = .9 * .011 + .1 * .004996876 = .0103996876, m / (1 - .81) = .0547351979;
    v = .999 * .0000121 + .001 * .004996876^2 = .0000121128688, v / (1 - .998001) = .00605946411;
    step = .0547351979 / (sqrt(.00605946411) + 1e-8) = .703154; xi_a = -.025 - .025 * .703154 = -.04257886.
    """
    weights = ImprovementAware(["a", "b"], lambda_=0.5, clip=0.1, decay=0.0)
    assert weights.shares() == {"a": 0.5, "b": 0.5}
    weights.observe({"a": Seen(reward=0.8, improvement=0.3), "b": Seen(reward=0.2, improvement=-0.04)})
    assert weights.logits == pytest.approx({"a": -0.025, "b": 0.025}, abs=1e-8)
    assert weights.shares()["a"] == pytest.approx(0.487502604, abs=1e-8)
    weights.observe({"a": Seen(reward=0.6, improvement=0.02), "b": Seen(reward=0.4, improvement=0.7)})
    assert weights.logits["a"] == pytest.approx(-0.04257886, abs=1e-7)
    assert weights.logits["b"] == pytest.approx(0.04257886, abs=1e-7)


def test_the_released_codes_rule_by_hand():
    """Two tasks, lambda 0.2, threshold 0.1 at policy rate 2e-6 (so c = .2), decay 0.

    Accuracy is averaged from 0: after one round .5 * .8 = .4 and .5 * .2 = .1. I is a sum: .01 * 8 = .08 and
    .05 * 8 = .4, clipped to .2. s = (.08 + .08, .2 + .02) = (.16, .22); g = (.5 * -.03, .5 * .03): xi = (.025, -.025).
    """
    weights = ImprovementAware(["a", "b"], lambda_=0.2, clip=0.1, rule="code", decay=0.0, policy_rate=2e-6)
    seen = {
        "a": Seen(reward=9.0, accuracy=0.8, improvement=0.01, sequences=8),
        "b": Seen(reward=9.0, accuracy=0.2, improvement=0.05, sequences=8),
    }
    weights.observe(seen)
    assert weights.state()["level"] == pytest.approx({"a": 0.4, "b": 0.1})
    assert weights.logits == pytest.approx({"a": 0.025, "b": -0.025}, abs=1e-7)
    weights.observe(seen)
    assert weights.state()["level"] == pytest.approx({"a": 0.6, "b": 0.15})


def test_decay_is_decoupled_in_the_paper_and_in_the_gradient_in_the_code():
    seen = {task: Seen(reward=0.5, accuracy=0.5) for task in ("a", "b")}  # all alike: no gradient of their own
    paper, code = (ImprovementAware(["a", "b"], rule=rule, decay=0.1) for rule in ("paper", "code"))
    for weights in (paper, code):
        weights.logits = {"a": 1.0, "b": -1.0}
    paper.observe(seen)
    assert paper.logits == pytest.approx({"a": 1 - 0.025 * 0.1, "b": -1 + 0.025 * 0.1})
    code.observe(seen)
    assert code.logits == pytest.approx({"a": 1 - 0.025, "b": -1 + 0.025}, abs=1e-6)


def test_without_improvement_the_weights_go_to_the_worst_task():
    """A known trial of the released rule: accuracies (.8, .5, .3), lambda .2, after 1, 10 and 50 rounds of four."""
    weights = ImprovementAware(THREE, lambda_=0.2, rule="code", decay=1e-5)
    seen = {task: Seen(accuracy=level) for task, level in zip(THREE, (0.8, 0.5, 0.3), strict=True)}
    told = {}
    for step in range(1, 201):
        weights.observe(seen)
        told[step] = [round(share, 2) for share in weights.shares().values()]
    assert told[4] == pytest.approx([0.29, 0.35, 0.36], abs=0.011)
    assert told[40][2] > 0.65 > 0.25 > told[40][1] > told[40][0]
    assert told[200] == pytest.approx([0.01, 0.01, 0.98], abs=0.011)


def test_the_cheap_variant_reads_accuracies():
    weights = ImprovementAware(["a", "b"], lambda_=0.0, clip=0.2, improvement="accuracy", decay=0.0)
    assert not weights.needs_improvement
    first = {"a": Seen(reward=0.5, accuracy=0.5), "b": Seen(reward=0.5, accuracy=0.5)}
    weights.observe(first)
    assert weights.shares() == {"a": 0.5, "b": 0.5}  # nothing to compare with yet
    weights.observe({"a": Seen(reward=0.5, accuracy=0.6), "b": Seen(reward=0.5, accuracy=0.5)})
    assert weights.shares()["a"] < 0.5 < weights.shares()["b"]


SEEN = st.builds(
    Seen,
    st.none() | st.floats(0, 2),
    st.none() | st.floats(0, 1),
    st.floats(-10, 10),
    st.integers(0, 64),
    st.floats(0, 3),
)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(THREE, SEEN)), max_size=12), st.sampled_from(["paper", "code"]))
def test_whatever_is_seen_shares_are_shares_and_a_state_goes_on_exactly(history, rule):
    def three():
        return [ImprovementAware(THREE, rule=rule), ImprovementAware(THREE, improvement="accuracy"), Bandit(THREE)]

    for weights, copy in zip(three(), three(), strict=True):
        for place, seen in enumerate(history):
            if place == len(history) // 2:
                copy.restore(json.loads(json.dumps(weights.state())))
            if place >= len(history) // 2:
                copy.observe(seen)
            weights.observe(seen)
        assert sum(weights.shares().values()) == pytest.approx(1)
        assert all(0 <= share <= 1 for share in weights.shares().values())
        if history:
            assert copy.shares() == weights.shares()


@given(st.permutations(THREE))
def test_the_order_of_tasks_does_not_matter(order):
    seen = {
        task: Seen(reward=level, improvement=0.1 - level) for task, level in zip(THREE, (0.9, 0.5, 0.1), strict=True)
    }
    one, two = ImprovementAware(THREE), ImprovementAware(list(order))
    for _ in range(3):
        one.observe(seen)
        two.observe(seen)
    assert one.shares() == pytest.approx(two.shares())
    assert one.shares()["c"] > one.shares()["a"]


def test_the_bandit_by_hand():
    """Q = .5 * (.4, 0) then .5 * Q + .5 * (0, .6) = (.1, .3); shares softmax(Q / .2) = 1 / (1 + e), e / (1 + e)."""
    bandit = Bandit(["a", "b"])
    bandit.observe({"a": Seen(advantage=0.4)})
    assert bandit.values == {"a": 0.2, "b": 0.0}
    assert bandit.shares()["a"] == pytest.approx(exp(1) / (1 + exp(1)))
    bandit.observe({"b": Seen(advantage=0.6)})
    assert bandit.values == pytest.approx({"a": 0.1, "b": 0.3})
    assert log(bandit.shares()["b"] / bandit.shares()["a"]) == pytest.approx(1.0)
