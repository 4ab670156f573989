"""Contrasts: the weighted sums worked out by hand, paired, in the terminal, JSON and page; bad ones refused."""

import json

import pytest
from pydantic import ValidationError
from synthetic_study import put_cell, put_study
from test_shares import BETTER, BETTER_TWO, ONE, TWO, study_of

from factory.analysis.cells import load_matrix
from factory.analysis.contrasts import contrasts
from factory.analysis.overview import overview
from factory.core.study import Study
from factory.report.build import build_report
from factory.store.store import Store

HALF = {"adapter:high": 0.5, "adapter:both": 0.5, "adapter:low": -0.5, "base": -0.5}
VARIANTS = {
    "base": [[ONE, TWO]],
    "adapter:low": [[ONE, TWO]],
    "adapter:high": [[BETTER, TWO]],
    "adapter:both": [[BETTER, BETTER_TWO]],
}


def by_measure(found):
    return {one.measure: one.estimate.value for one in found}


def test_the_values_are_those_worked_out_by_hand(tmp_path):
    matrix = load_matrix(*study_of(tmp_path, **VARIANTS))
    found = by_measure(contrasts(matrix, {"effect": HALF}, "sampled"))
    # base and low: right (2/3 + 1/3) / 2; high: (1 + 1/3) / 2; both: 1. Steps: 1/2, 3/4, 1. Faithful: 1/3, 3/4, 1.
    assert found["accuracy"] == pytest.approx((2 / 3 + 1) / 2 - 1 / 2)
    assert found["has_steps"] == pytest.approx(((3 + 1) / 6 + 1) / 2 - 1 / 2)
    assert found["step_accuracy"] == pytest.approx((3 / 4 + 1) / 2 - 1 / 2)
    assert found["faithful_when_correct"] == pytest.approx((3 / 4 + 1) / 2 - 1 / 3)


def test_a_contrast_with_one_variant_against_another_is_the_paired_change(tmp_path):
    matrix = load_matrix(*study_of(tmp_path, **VARIANTS))
    asked = {"both - low": {"adapter:both": 1.0, "adapter:low": -1.0}}
    found = contrasts(matrix, asked, "sampled")
    accuracy = next(one for one in found if one.measure == "accuracy")
    assert accuracy.estimate == matrix.change("adapter:low", "adapter:both", "nested_ops@easy", "sampled")
    least = min(found, key=lambda one: one.estimate.p)
    assert least.p_adjusted == pytest.approx(4 * least.estimate.p)  # Holm: the least of four


def test_only_items_and_seeds_that_all_variants_have_count(tmp_path):
    store = Store(tmp_path)
    cells = [
        put_cell(store, "base", "tiny_math", [ONE, TWO]),
        put_cell(store, "adapter:low", "tiny_math", [BETTER_TWO]),
    ]
    folder = put_study(store, cells, [{"name": "base", "seed": 0, "ref": None}])
    (found,) = contrasts(load_matrix(store, folder), {"x": {"adapter:low": 1.0, "base": -1.0}}, "sampled")
    assert (found.estimate.value, found.estimate.items) == (pytest.approx(2 / 3), 1)
    (nothing,) = contrasts(load_matrix(store, folder), {"x": {"adapter:high": 1.0, "base": -1.0}}, "sampled")
    assert (nothing.estimate, nothing.p_adjusted, nothing.is_sure) == (None, None, False)


def test_terminal_json_and_page_show_them(tmp_path):
    adapters = {name: {"tasks": ["nested_ops"]} for name in ("low", "high", "both")}
    store, folder = study_of(tmp_path, asked={"adapters": adapters, "contrasts": {"effect of steps": HALF}}, **VARIANTS)
    text = overview(store, folder).text
    table = text.partition("effect of steps: 0.5 adapter:high + 0.5 adapter:both - 0.5 adapter:low - 0.5 base")[2]
    assert table.splitlines()[2].split()[:2] == ["accuracy", "+33.3"]
    page = build_report(store, folder).read_text()
    assert 'href="#contrasts"' in page
    assert "effect of steps, greedy" in page
    told = json.loads((folder / "matrix.json").read_text())["contrasts"]
    assert [one["measure"] for one in told if one["mode"] == "sampled"] == [
        "accuracy", "has_steps", "step_accuracy", "faithful_when_correct",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "weights, told",
    [
        ({"adapter:high": 1.0, "adapter:low": -0.5}, "weights come to 0.5"),
        ({"adapter:high": 0.0, "adapter:low": 0.0}, "a comparison has some"),
        ({"adapter:hihg": 1.0, "adapter:low": -1.0}, "did you mean 'adapter:high'"),
        ({"adapter:high": 0.0}, "at least 2"),
    ],
)
def test_bad_contrasts_are_refused_in_one_line(weights, told):
    adapters = {name: {"tasks": ["nested_ops"]} for name in ("low", "high")}
    plain = {"study": "x", "adapters": adapters, "benchmarks": {"nested_ops": None}, "contrasts": {"effect": weights}}
    with pytest.raises(ValidationError, match=told):
        Study.model_validate(plain)
