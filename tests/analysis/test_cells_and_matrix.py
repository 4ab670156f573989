"""Cells read from a real store, and everything that is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_study import full_study, outcome, put_cell, put_study

from factory.analysis.cells import Matrix, load_cell, load_matrix
from factory.analysis.curves import load_curves
from factory.analysis.notes import is_about_nothing, notes
from factory.analysis.summary import summary
from factory.analysis.table import print_matrix, signed
from factory.analysis.transfer import changes, combined_and_specialist, interference, retention, transfer
from factory.core.errors import BadInput, CorruptFile, StoreError
from factory.store.store import Store

BASE = {"name": "base", "seed": 0}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path, Matrix]:
    store, folder = full_study(tmp_path_factory.mktemp("full"), seeds=(0, 1, 2))
    return store, folder, load_matrix(store, folder)


def one_cell(store: Store, *rows, variant: str = "base", **options) -> Matrix:
    ref = put_cell(store, variant, "tiny_math", rows, **options)
    return load_matrix(store, put_study(store, [ref], [{**BASE, "name": variant, "ref": ref.to_json()}]))


def test_samples_are_averaged_by_item_and_unscorable_ones_counted(store: Store) -> None:
    rows = [outcome("a", [1.0, 0.0], 1.0), outcome("b", [1.0, None], None), outcome("c", [None, None], 0.0)]
    matrix = one_cell(store, *rows)
    sampled, greedy = matrix.score("base", "tiny_math", "sampled"), matrix.score("base", "tiny_math", "greedy")
    assert sampled is not None and greedy is not None
    assert (sampled.value, sampled.items) == (0.75, 2)  # items 1/2 and 1; the third has nothing scorable
    assert (greedy.value, greedy.items) == (0.5, 2)
    assert matrix.unscorable("base", "tiny_math", "sampled") == 3
    assert matrix.unscorable("base", "tiny_math", "greedy") == 1
    assert "left out and not counted wrong: base 3" in print_matrix(matrix)


def test_no_greedy_answers_asked_for_is_not_unscorable(store: Store) -> None:
    matrix = one_cell(store, outcome("a", [1.0, 0.0]), decoding={"greedy": False})
    assert matrix.modes() == ("sampled",)
    assert matrix.unscorable("base", "tiny_math", "greedy") == 0
    assert matrix.score("base", "tiny_math", "greedy") is None


def test_only_greedy_answers(store: Store) -> None:
    matrix = one_cell(store, outcome("a", [], 1.0), outcome("b", [], 0.0), decoding={"samples": 0})
    assert matrix.modes() == ("greedy",)
    score = matrix.score("base", "tiny_math", "greedy")
    assert score is not None and score.value == 0.5


def test_completions_with_line_separators_stay_whole(store: Store) -> None:
    matrix = one_cell(store, outcome("a", [1.0], 1.0, text="x\u2028y\x85z\u2029"))
    (cell,) = matrix.cells.values()
    assert cell.outcomes()[0].completions[0].startswith("x\u2028y\x85z\u2029")


def test_items_are_paired_by_name_not_by_place(store: Store) -> None:
    before = put_cell(store, "base", "tiny_math", [outcome("a", [0.0], 0.0), outcome("b", [1.0], 1.0)])
    after = put_cell(store, "adapter:x", "tiny_math", [outcome("b", [1.0], 1.0), outcome("a", [1.0], 0.0)])
    names = [{"name": name, "seed": 0, "ref": before.to_json()} for name in ("base", "adapter:x")]
    matrix = load_matrix(store, put_study(store, [before, after], names))
    change = matrix.change("base", "adapter:x", "tiny_math", "sampled")
    assert change is not None and change.value == 0.5
    assert np.array_equal(
        matrix.table(("base", "adapter:x"), "tiny_math", "sampled")[1]
        - matrix.table(("base",), "tiny_math", "sampled")[0],
        [[1.0], [0.0]],
    )


def test_transfer_interference_and_retention_by_hand(store: Store) -> None:
    def rows(right: int) -> list:
        return [outcome(f"{i:02d}", [float(i < right)] * 2, float(i < right)) for i in range(40)]

    plan = [("base", 8, ()), ("adapter:a", 32, ("tiny_math",)), ("adapter:b", 12, ("tiny_sql",))]
    plan.append(("merge:m", 20, ("tiny_math", "tiny_sql")))
    cells = [put_cell(store, name, "tiny_math", rows(right), trained=trained) for name, right, trained in plan]
    names = [{"name": name, "seed": 0, "ref": cells[0].to_json()} for name, _, _ in plan]
    matrix = load_matrix(store, put_study(store, cells, names))
    moved = {effect.variant: effect for effect in transfer(matrix, "sampled")}
    assert {name: (effect.estimate.value, effect.own) for name, effect in moved.items() if effect.estimate} == {
        "adapter:a": (pytest.approx(0.6), True),
        "adapter:b": (pytest.approx(0.1), False),
    }
    (lost,) = interference(matrix, "sampled")
    assert lost.estimate is not None
    assert (lost.variant, lost.against, lost.estimate.value) == ("merge:m", "adapter:a", pytest.approx(-0.3))
    assert lost.is_sure
    (kept,) = retention(matrix, "sampled")
    assert kept.estimate is not None
    assert kept.estimate.value == pytest.approx(0.5)  # (20 - 8) / (32 - 8)
    assert 0 < kept.estimate.low < 0.5 < kept.estimate.high < 1


def test_a_specialist_may_have_several_tasks_but_fewer_than_what_it_is_compared_with(store: Store) -> None:
    tasks = {
        "base": (),
        "adapter:numbers": ("tiny_math", "tiny_ops"),
        "adapter:sql": ("tiny_sql",),
        "adapter:joint": ("tiny_math", "tiny_ops", "tiny_sql"),
        "merge:all": ("tiny_math", "tiny_ops", "tiny_sql"),
    }
    rows = [outcome("a", [1.0], 1.0), outcome("b", [0.0], 0.0)]
    where = ("tiny_math", "tiny_sql")
    cells = [put_cell(store, name, one, rows, trained=trained) for name, trained in tasks.items() for one in where]
    names = [{"name": name, "seed": 0, "ref": cells[0].to_json()} for name in tasks]
    matrix = load_matrix(store, put_study(store, cells, names, benchmarks=where))
    assert list(combined_and_specialist(matrix)) == [
        ("adapter:joint", "adapter:numbers", "tiny_math"),
        ("adapter:joint", "adapter:sql", "tiny_sql"),
        ("merge:all", "adapter:numbers", "tiny_math"),
        ("merge:all", "adapter:sql", "tiny_sql"),
    ]


def test_retention_is_left_out_where_the_specialist_gained_nothing_sure(store: Store) -> None:
    rows = [outcome(f"{i}", [float(i % 2)] * 2, 0.0) for i in range(20)]
    plan = [("base", ()), ("adapter:a", ("tiny_math",)), ("merge:m", ("tiny_math",))]
    cells = [put_cell(store, name, "tiny_math", rows, trained=trained) for name, trained in plan]
    names = [{"name": name, "seed": 0, "ref": cells[0].to_json()} for name, _ in plan]
    (kept,) = retention(load_matrix(store, put_study(store, cells, names)), "sampled")
    assert kept.estimate is None


def test_columns_that_say_nothing_are_named(full: tuple[Store, Path, Matrix], store: Store) -> None:
    _, _, matrix = full
    assert is_about_nothing(matrix, "tiny_ops", "sampled") == "every variant is about zero"
    assert is_about_nothing(matrix, "tiny_math", "sampled") is None
    assert notes(matrix, "sampled")[0] == "tiny_ops: every variant is about zero; this column says about nothing."
    guess = one_cell(store, *[outcome(str(i), [float(i % 4 == 0)], 0.0) for i in range(40)], chance=0.25)
    assert is_about_nothing(guess, "tiny_math", "sampled") == "no variant can be told from chance (25 %)"
    assert "chance" in print_matrix(guess)


def test_the_table_fits_a_terminal_and_holds_every_variant(full: tuple[Store, Path, Matrix]) -> None:
    _, _, matrix = full
    text = print_matrix(matrix)
    assert len(matrix.variants) == 8 and len(matrix.benchmarks) == 4
    assert max(map(len, text.splitlines())) <= 100
    for name in (*matrix.variants, *matrix.benchmarks):
        assert text.count(name) >= 2  # sampled and greedy
    score, change = (
        matrix.score("adapter:math", "tiny_math", "sampled"),
        next(
            effect
            for effect in changes(matrix, "sampled")
            if (effect.variant, effect.benchmark) == ("adapter:math", "tiny_math")
        ),
    )
    assert score is not None and change.estimate is not None and change.is_sure
    assert f"{100 * score.value:.1f} ±{100 * score.half_width:.1f}" in text
    assert f"{signed(change.estimate.value)}*" in text


def test_many_benchmarks_wrap_into_blocks(store: Store) -> None:
    benchmarks = [f"benchmark_{i}" for i in range(9)]
    cells = [put_cell(store, "base", name, [outcome("a", [1.0], 1.0)]) for name in benchmarks]
    folder = put_study(store, cells, [{**BASE, "ref": cells[0].to_json()}], benchmarks=benchmarks)
    text = print_matrix(load_matrix(store, folder))
    assert max(map(len, text.splitlines())) <= 100
    assert all(name in text for name in benchmarks)


def test_a_partly_scored_study_is_shown_with_its_gaps(full: tuple[Store, Path, Matrix]) -> None:
    _, _, matrix = full
    cells = {key: cell for key, cell in matrix.cells.items() if key[:2] != ("adapter:sql", "tiny_sql")}
    partial = Matrix(matrix.study, matrix.variants, matrix.benchmarks, matrix.seeds, cells)
    assert "Not scored yet at every seed: adapter:sql on tiny_sql." in " ".join(notes(partial, "sampled"))
    assert "–" in print_matrix(partial)
    assert summary(partial)["study"] == "tiny"
    assert "nothing scored yet" in print_matrix(Matrix("tiny", ("base",), ("tiny_math",), (0,), {}))


def test_checkpoints_are_cells_but_not_variants(store: Store) -> None:
    final = put_cell(store, "adapter:a", "tiny_math", [outcome("a", [1.0], 1.0)])
    early = put_cell(store, "adapter:a@30", "tiny_math", [outcome("a", [0.0], 0.0)])
    folder = put_study(store, [final, early], [{"name": "adapter:a", "seed": 0, "ref": final.to_json()}])
    matrix = load_matrix(store, folder)
    assert matrix.variants == ("adapter:a",)
    assert ("adapter:a@30", "tiny_math", 0) in matrix.cells


def test_summary_is_plain_json_and_the_same_each_time(full: tuple[Store, Path, Matrix]) -> None:
    import json

    store, folder, matrix = full
    text = json.dumps(summary(matrix), allow_nan=False)
    assert text == json.dumps(summary(load_matrix(store, folder)), allow_nan=False)
    assert len(json.loads(text)["scores"]) == 2 * 8 * 4


def test_curves_by_hand(full: tuple[Store, Path, Matrix]) -> None:
    store, _, _ = full
    ref = next(ref for ref in store.refs("adapter") if ref.name == "joint" and ref.seed == 1)
    curves = load_curves(store.path(ref), "adapter:joint", 1)
    assert [curve.task for curve in curves] == ["tiny_math", "tiny_sql", "tiny_python"]
    assert curves[0].components() == ["correct", "format"]
    ends = curves[0].ends("zero_variance")
    steps = np.arange(1, 61)
    expected = 0.1 + 0.4 * (1 - np.exp(-steps / 20))
    assert ends == pytest.approx((expected[:6].mean(), expected[-6:].mean()), abs=1e-4)


def test_bad_files_are_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"card\.json: no such file; 'factory run nothing'"):
        load_matrix(store, tmp_path / "nothing")
    ref = put_cell(store, "base", "tiny_math", [outcome("a", [1.0]), outcome("a", [0.0])])
    with pytest.raises(CorruptFile, match="an item is there twice"):
        load_cell(store, ref)
    folder = put_study(store, [ref], [])
    (folder / "card.json").write_text("{}")
    with pytest.raises(CorruptFile, match="not a study's card"):
        load_matrix(store, folder)
    store.remove(ref)
    with pytest.raises(StoreError, match="is not in the store"):
        load_cell(store, ref)
    curves = tmp_path / "metrics.jsonl"
    curves.write_text('{"tasks": {"tiny_math": {}}}\n')
    with pytest.raises(CorruptFile, match="not a training log"):
        load_curves(tmp_path, "adapter:a", 0)
