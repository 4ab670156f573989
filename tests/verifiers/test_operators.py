"""Steps of novel operators: true results of the row's own operations count, once each, and false ones cost."""

import pytest

from factory.core.errors import BadInput
from factory.verifiers.operators import applied, evaluated, verify

ROW = {"operators": {"⊕": "2*a + 3*b + 1"}, "tree": ["⊕", 3, ["⊕", 15, 14]], "answer": "226"}
BOTH = "15 ⊕ 14 = 73\n3 ⊕ 73 = 226\n"


def steps(text):
    components = verify(text, ROW).components
    return components["has_steps"], components["steps"]


@pytest.mark.parametrize(
    "text",
    [
        BOTH,
        "15 ⊕ 14 = 2*15 + 3*14 + 1 = 73\n3 ⊕ 73 = 2*3 + 3*73 + 1 = 226",
        "First 15 ⊕ 14 = 73, then 3 ⊕ 73 = 226.",
        r"$15 \oplus 14 = 2 \cdot 15 + 3 \times 14 + 1 = 30 + 42 + 1 = 73$. So **3 ⊕ 73 = 226**.",
        "(15) ⊕ (14) = 73; 3⊕73=226",
    ],
)
def test_ways_of_writing_right_steps(text):
    assert steps(text) == (1.0, 1.0)


@pytest.mark.parametrize(
    "text, share",
    [
        ("15 ⊕ 14 = 73\n", 1 / 2),
        ("15 ⊕ 14 = 73\n" * 50, 1 / 2),  # repetition gains nothing
        (BOTH + "15 ⊕ 14 = 72\n", 1 / 3),  # a contradiction takes its step back and costs
        ("15 ⊕ 14 = 72\n" + BOTH * 50, 1 / 3),  # and cannot be bought back
        ("".join(f"15 ⊕ 14 = {value}\n" for value in range(100)), 0.0),  # guessing at every result
        ("15 ⊕ 14 = 2*15 + 3*14 = 73\n3 ⊕ 73 = 226", 1 / 3),  # what stands between is false
        ("1 ⊕ 1 = 6\n2 ⊕ 2 = 11\n" + BOTH, 1.0),  # true, and not of the tree: neither gained nor lost
        ("14 ⊕ 15 = 73\n3 ⊕ 73 = 226", 1 / 3),  # the operands the other way round
        ("15 ⊕ 14 = 73.5\n3 ⊕ 73 = 226", 1 / 2),
        ("15 ⊕ 14 = 7\n", 0.0),
    ],
)
def test_only_true_results_of_the_row_count(text, share):
    assert steps(text) == (1.0, pytest.approx(share))


def test_other_true_results_are_no_steps():
    assert steps("1 ⊕ 1 = 6\n2 ⊕ 2 = 11\n") == (0.0, 0.0)
    assert steps("<think>" + BOTH + "</think>") == (0.0, 0.0)
    assert steps("") == (0.0, 0.0)


def test_a_right_answer_after_a_wrong_step_is_right_and_says_so():
    verdict = verify("15 ⊕ 14 = 72\n\\boxed{226}", ROW)
    assert (verdict.correct, verdict.components["steps"]) == (True, 0.0)
    assert "wrong step 15 ⊕ 14 = 72" in verdict.reason


@pytest.mark.parametrize(
    "formula, value", [("2*a + 3*b - 1", 18), ("a^2 + b + 3", 12), ("a*b - a", 8), ("-a + 2*b^2", 48), ("b", 5)]
)
def test_formulas_by_hand(formula, value):
    assert applied(formula, 2, 5) == value


def test_a_tree_is_computed_from_the_inside_out():
    value, found = evaluated(["⊗", ["⊙", 2, 3], ["⊙", 3, 2]], {"⊙": "a^2 - b", "⊗": "a*b"})
    assert (value, [tuple(operation) for operation, _ in found], [result for _, result in found]) == (
        7,
        [(2, "⊙", 3), (3, "⊙", 2), (1, "⊗", 7)],
        [1, 7, 7],
    )


@pytest.mark.parametrize(
    "change",
    [
        {"answer": "225"},
        {"tree": ["⊗", 1, 2]},
        {"tree": ["⊕", 1]},
        {"tree": None},
        {"operators": {"⊕": "a**b"}},
        {"operators": {"⊕": "__import__('os')"}},
    ],
)
def test_a_broken_row_is_refused(change):
    with pytest.raises(BadInput, match="row"):
        verify("\\boxed{226}", {**ROW, **change})


@pytest.mark.parametrize(
    "text", ["(" * 200_000, "1 ⊕ 1" + " = 1+1" * 50_000, "1 ⊕ 1 = 1" + "+1" * 100_000, "1 ⊕ " * 100_000 + "= 3"]
)
def test_hostile_steps_are_read_soon(text):
    assert verify(text, ROW).seconds < 3
