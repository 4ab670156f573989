"""Equality of results against the official meaning, tried the slow way: all permutations of columns."""

import time
from collections import Counter
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from factory.verifiers._sql_compare import equal_results
from factory.verifiers._sql_text import first_statement, is_ordered, prepared, without_distinct

cells = st.sampled_from([None, 0, 1, 1.0, "1", "a", b"a", 2.5, ""])


def tables(columns: int):
    return st.lists(st.tuples(*[cells] * columns), max_size=5)


def official(gold, predicted, ordered: bool) -> bool:
    """test-suite-sql-eval's result_eq in meaning: some permutation of the columns makes lists or bags equal."""
    if not gold and not predicted:
        return True
    if len(gold) != len(predicted) or len(gold[0]) != len(predicted[0]):
        return False
    for order in permutations(range(len(gold[0]))):
        permuted = [tuple(row[place] for place in order) for row in predicted]
        if (permuted == list(gold)) if ordered else (Counter(permuted) == Counter(gold)):
            return True
    return False


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.tuples(tables(n), tables(n))), st.booleans())
def test_any_two_tables(pair, ordered: bool) -> None:
    assert equal_results(*pair, ordered=ordered) is official(*pair, ordered)


@settings(max_examples=500, deadline=None)
@given(st.data(), st.booleans())
def test_shuffled_tables(data, ordered: bool) -> None:
    """Tables that are equal, or nearly: rows and columns shuffled, sometimes one row's cells swapped."""
    columns = data.draw(st.integers(1, 5))
    gold = data.draw(st.lists(st.tuples(*[st.sampled_from([0, 1, None])] * columns), min_size=1, max_size=6))
    order = data.draw(st.permutations(range(columns)))
    rows = data.draw(st.permutations(gold)) if not ordered or data.draw(st.booleans()) else gold
    predicted = [tuple(row[place] for place in order) for row in rows]
    if data.draw(st.booleans()):
        predicted[0] = tuple(reversed(predicted[0]))
    assert equal_results(gold, predicted, ordered=ordered) is official(gold, predicted, ordered)


def test_many_alike_columns_take_no_time() -> None:
    wide = [tuple((row * column) % 2 for column in range(40)) for row in range(30)]
    other = [tuple(reversed(row)) for row in wide]
    start = time.perf_counter()
    assert equal_results(wide, other, ordered=False)
    different = [*other[:-1], tuple(1 - cell for cell in other[-1])]
    assert not equal_results(wide, different, ordered=False)
    assert time.perf_counter() - start < 5


def test_statements() -> None:
    assert first_statement(" ;; SELECT ';' -- x;\n, /* ; */ 1 ; DROP") == "SELECT ';'  \n,   1"
    assert without_distinct("SELECT DISTINCT a, count(distinct b), 'distinct', \"distinct\", distinctive FROM t") == (
        "SELECT  a, count( b), 'distinct', \"distinct\", distinctive FROM t"
    )
    assert prepared("SELECT 1 WHERE 1 > = 1 AND 2 ! = 3 AND 1 < = 2", keep_distinct=True) == (
        "SELECT 1 WHERE 1 >= 1 AND 2 != 3 AND 1 <= 2"
    )
    assert prepared("SELECT YEAR(CURDATE()) - 1", keep_distinct=True) == "SELECT 2020- 1"
    assert is_ordered("select a from t ORDER  by a") and not is_ordered("select border_by from t")
