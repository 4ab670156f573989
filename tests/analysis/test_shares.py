"""Shares of verdict components: values worked out by hand, the interval against simulation, where they are shown."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from synthetic_study import put_cell, put_study

from factory.analysis import statistics
from factory.analysis.cells import load_matrix
from factory.analysis.shares import item_parts, shares
from factory.analysis.table import print_matrix
from factory.core.records import Outcome
from factory.report.build import build_report
from factory.store.store import Store
from factory.verifiers.operators import SHARES


def said(has_steps, steps):
    return {"format": 1.0, "has_steps": has_steps, "steps": steps}


def outcome(item, scores, greedy, *components):
    texts = [f"text {place}" for place in range(len(scores) + 1)]
    return Outcome(item, scores, greedy, texts, [""] * len(texts), [3] * len(texts), components=list(components))


ONE = outcome("one", [1.0, 1.0, 0.0], 1.0, said(1.0, 1.0), said(0.0, 0.0), said(1.0, 0.5), said(1.0, 0.25))
TWO = outcome("two", [1.0, 0.0, 0.0], 0.0, said(1.0, 0.0), said(0.0, 0.0), said(0.0, 0.0), said(0.0, 0.0))
BETTER = outcome("one", [1.0, 1.0, 1.0], 1.0, *[said(1.0, 1.0)] * 4)
BETTER_TWO = outcome("two", [1.0, 1.0, 1.0], 1.0, *[said(1.0, 1.0)] * 4)


def study_of(root, asked=None, **variants):
    """A study of one benchmark: variants with the outcomes of each seed; `asked` are further fields of the study."""
    store = Store(root)
    declared = {name: asdict(share) for name, share in SHARES.items()}
    cells, cards = [], []
    for variant, seeds in variants.items():
        for seed, outcomes in enumerate(seeds):
            cells.append(put_cell(store, variant, "nested_ops@easy", outcomes, seed=seed, shares=declared))
            cards.append({"name": variant, "seed": seed, "ref": None})
    seeds = range(len(next(iter(variants.values()))))
    return store, put_study(store, cells, cards, benchmarks=["nested_ops@easy"], seeds=seeds, **(asked or {}))


def values(matrix, mode):
    return {one.name: one.estimate and one.estimate.value for one in shares(matrix, mode)}


def test_the_values_are_those_worked_out_by_hand(tmp_path):
    matrix = load_matrix(*study_of(tmp_path, base=[[ONE, TWO]]))
    assert values(matrix, "sampled") == {
        "has_steps": pytest.approx(3 / 6),  # of all six samples
        "step_accuracy": pytest.approx((1.0 + 0.5 + 0.0) / 3),  # of the three with steps
        "faithful_when_correct": pytest.approx((1.0 + 0.0 + 0.0) / 3),  # of the three right ones, one without steps
    }
    assert values(matrix, "greedy") == {
        "has_steps": pytest.approx(0.5),
        "step_accuracy": pytest.approx(0.25),
        "faithful_when_correct": pytest.approx(0.25),
    }


def test_seeds_count_the_same_however_many_of_their_samples_do(tmp_path):
    matrix = load_matrix(*study_of(tmp_path, base=[[ONE, TWO], [BETTER, TWO]]))
    by_seed = {one.name: one.estimate.seeds for one in shares(matrix, "sampled")}
    assert by_seed["step_accuracy"] == pytest.approx((0.5, 3 / 4))
    assert by_seed["faithful_when_correct"] == pytest.approx((1 / 3, 3 / 4))
    assert values(matrix, "sampled")["faithful_when_correct"] == pytest.approx((1 / 3 + 3 / 4) / 2)


def test_what_could_not_be_scored_is_in_no_share():
    broken = outcome("one", [1.0, None], None, said(1.0, 0.5), {}, {})
    assert item_parts([broken], SHARES["has_steps"], "sampled") == {"one": (1.0, 1.0)}
    assert item_parts([broken], SHARES["step_accuracy"], "sampled") == {"one": (0.5, 1.0)}
    assert item_parts([broken], SHARES["has_steps"], "greedy") == {}


def test_where_no_completion_counts_there_is_no_number(tmp_path):
    silent = outcome("one", [0.0], 0.0, said(0.0, 0.0), said(0.0, 0.0))
    store, folder = study_of(tmp_path, base=[[silent]])
    matrix = load_matrix(store, folder)
    assert values(matrix, "sampled") == {"has_steps": 0.0, "step_accuracy": None, "faithful_when_correct": None}
    build_report(store, folder)
    told = json.loads((folder / "matrix.json").read_text())["shares"]
    assert [one["estimate"] and one["estimate"]["value"] for one in told] == [0.0, None, None] * 2


def test_a_share_of_everything_is_the_mean_with_its_interval():
    x = np.random.default_rng(0).random((30, 3))
    assert statistics.share(x, np.ones_like(x)) == statistics.mean(x)
    assert statistics.share(np.full((4, 2), np.nan), np.full((4, 2), np.nan)) is None
    assert statistics.share(np.zeros((4, 2)), np.zeros((4, 2))) is None


def test_the_interval_covers_the_share_that_samples_are_drawn_from():
    """Items differ in how often a sample counts and in what it is then worth, and the two are correlated."""
    rng = np.random.default_rng(1)
    covered, runs, items, samples = 0, 400, 80, 4
    many = np.random.default_rng(2).beta(2, 2, size=200_000)
    truth = float((many * (0.2 + 0.6 * many)).sum() / many.sum())
    for _ in range(runs):
        often = rng.beta(2, 2, size=items)
        counts = rng.random((samples, items)) < often
        worth = rng.random((samples, items)) < 0.2 + 0.6 * often
        found = statistics.share((counts & worth).mean(axis=0)[:, None], counts.mean(axis=0)[:, None])
        covered += found.low <= truth <= found.high
    assert 0.91 < covered / runs < 0.98


def test_terminal_json_and_page_show_them(tmp_path):
    store, folder = study_of(tmp_path, base=[[ONE, TWO]], **{"adapter:high": [[BETTER, BETTER_TWO]]})
    text = print_matrix(load_matrix(store, folder))
    table = text.partition("step_accuracy: mean of steps over completions that have has_steps, sampled")[2]
    assert [line.split()[:2] for line in table.splitlines()[2:4]] == [["base", "50.0"], ["adapter:high", "100.0"]]
    page = build_report(store, folder).read_text()
    assert "faithful_when_correct: mean of steps over completions that solve their item" in page
    told = json.loads((folder / "matrix.json").read_text())["shares"]
    assert [(one["share"], one["variant"], one["mode"]) for one in told[:2]] == [
        ("has_steps", "base", "sampled"),
        ("step_accuracy", "base", "sampled"),
    ]
