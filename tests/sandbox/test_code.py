"""What crosses between the checker and the candidate, and what does not: values, changes in place, objects, errors."""

import datetime
from collections import deque
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.sandbox import probe
from factory.sandbox.check import check
from factory.sandbox.inside.values import Decoder, Encoder, TooMuch

needs_sandbox = pytest.mark.skipif(not probe().usable, reason=f"no usable sandbox on this machine: {probe().missing}")

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(),
    st.complex_numbers(allow_nan=False), st.fractions(), st.decimals(allow_nan=False),
    st.datetimes().map(lambda moment: moment.replace(fold=0)), st.dates(),
    st.timedeltas(),
)  # fmt: skip
hashable = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.sets(hashable, max_size=3)
        | st.lists(inner, max_size=3).map(deque)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


def there_and_back(value):
    import json

    def refuse(one):
        raise AssertionError(f"no plain form: {one!r}")

    return Decoder(refuse)(json.loads(json.dumps(Encoder(refuse)(value))))


def shape(value):
    """The value with the types of all its parts."""
    if isinstance(value, dict):
        return dict, [(shape(k), shape(v)) for k, v in value.items()]
    if isinstance(value, (set, frozenset)):
        return type(value), value
    if isinstance(value, (list, tuple, deque)):
        return type(value), [shape(part) for part in value]
    return type(value), repr(value)


@settings(max_examples=300, deadline=None)
@given(values)
def test_values_come_back_as_they_were(value) -> None:
    assert shape(there_and_back(value)) == shape(value)


def test_subclasses_become_their_base_value() -> None:
    class Yes(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    class Text(str):
        def __str__(self):
            return "other"

    assert type(there_and_back(Yes(7))) is int and there_and_back(Yes(7)) == 7 and there_and_back(Yes(7)) != 8
    assert type(there_and_back(Text("a"))) is str and there_and_back(Text("a")) == "a"


def test_what_is_no_value_is_refused() -> None:
    decode = Decoder(lambda reference: None)
    for bad in ({"t": 5}, {"zz": []}, {"_decode": 1}, {"i": "x"}, {"d": [[[], 1]]}, {"m": ["eval", "x"]}, {"y": "exec"},
                {}, {"F": [1, 0]}, {"b": "\u1234"}):  # fmt: skip
        with pytest.raises(ValueError):
            decode(bad)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(TooMuch):
        Encoder(lambda one: {})(deep)


def status(source: str, tests: str, **options) -> str:
    return check([source], [tests], entry="f", seconds=5, **options).status


@needs_sandbox
@pytest.mark.parametrize(
    "source, tests, expected",
    [
        ("def f(x): x.append(1)", "a = []\nf(a)\nassert a == [1]", "passed"),
        ("def f(x): x.update(a=1)", "d = {}\nf(d)\nassert d == {'a': 1}", "passed"),
        ("def f(m):\n    for r in m: r.reverse()",
         "m = [[1, 2], [3, 4]]\nf(m)\nassert m == [[2, 1], [4, 3]]", "passed"),
        ("def f(x):\n    x.clear()\n    return []", "a = [1]\nassert f(a) == sorted(a)", "failed"),
        ("def f(x): return (v for v in x)", "assert list(f([1, 2])) == [1, 2]", "passed"),
        ("def f(*a, **k): return a, k", "assert f(1, b=2) == ((1,), {'b': 2})", "passed"),
        ("def f(x): return x(3)", "assert f(int) == 3", "passed"),
        ("import sys\ndef f(x): return sys.getsizeof(x)", "assert f(1) == sys.getsizeof(1)", "passed"),
        ("class Node:\n    def __init__(s, v): s.v = v; s.next = None\ndef f(n): return n.v + n.next.v",
         "a = Node(1)\na.next = Node(2)\nassert f(a) == 3", "passed"),
        ("def f(): raise KeyError('k')", "try:\n    f()\nexcept KeyError:\n    pass\nelse:\n    assert 0", "passed"),
        ("def f(): return f", "assert f() == f", "failed"),
        ("X = 5\ndef f(): return X", "assert f() == X == 5", "passed"),
        ("def g(): pass", "f()", "missing"),
        ("def f(:", "f()", "load"),
        ("def f(): pass", "1 = 2", "tests"),
        ("def f(): pass", "assert True", "tests"),
        ("def f(): return 1", "import nothing_of_this_name\nf()", "failed"),
    ],
)  # fmt: skip
def test_semantics(source: str, tests: str, expected: str) -> None:
    assert status(source, tests) == expected


@needs_sandbox
def test_a_prelude_is_the_tests_own() -> None:
    prelude = "def decode(x):\n    return x[::-1]\ndef f(x):\n    '''reverse'''\n"
    forged = "def decode(x): return x\ndef f(x): return x"
    honest = "def f(x): return x[::-1]"
    tests = ["assert f('abc') == decode('abc')"]
    assert check([prelude, forged], tests, entry="f", prelude=prelude).status == "failed"
    assert check([prelude, honest], tests, entry="f", prelude=prelude).status == "passed"


@needs_sandbox
def test_programs_read_and_print() -> None:
    source = "import sys\na, b = map(int, input().split())\nprint(a + b)\n"
    source += "if __name__ == '__main__':\n    print(sys.stdin.read().strip())"
    tests = [{"input": "1 2\nrest\n", "output": "3\nrest\n"}, {"input": "5 5\n", "output": "10\n\n"}]
    outcome = check([source], tests, programs=True)
    assert (outcome.status, outcome.passed) == ("passed", 2)
    wrong = check([source], [tests[0], {"input": "5 5\n", "output": "11"}], programs=True)
    assert (wrong.status, wrong.passed) == ("failed", 1)
    assert check(["print('3')\nraise SystemExit(1)"], tests, programs=True).status == "failed"


@needs_sandbox
def test_no_state_is_left_for_the_next_sample() -> None:
    first = "import builtins, math\nbuiltins.sum = lambda x: 42\nmath.pi = 3\ndef f(): return sum([])"
    assert status(first, "assert f() == 42") == "passed"
    for _ in range(6):
        assert status("import math\ndef f(): return sum([]), math.pi > 3.1", "assert f() == (0, True)") == "passed"
    tampering = "import builtins\nbuiltins.sorted = lambda x: 42\nassert f() == 1"
    assert check(["def f(): return 1"], [tampering], entry="f").status == "passed"
    for _ in range(6):
        assert status("def f(): return [2, 1]", "assert sorted(f()) == [1, 2]") == "passed"


@needs_sandbox
def test_set_order_is_the_same_on_every_lane() -> None:
    source = "def f(): return list({'a', 'b', 'c', 'zebra', 'horse'})"
    seen = {check([source], ["print(f())\nassert f() == 0"], entry="f").reason for _ in range(8)}
    assert len(seen) == 1


@needs_sandbox
def test_output_is_kept_up_to_its_cap() -> None:
    outcome = check(
        ["print('start')\ndef f():\n    print('y' * 10_000_000)\n    return 1"], ["assert f() == 1"], entry="f"
    )
    assert outcome.status == "passed"
    assert outcome.printed.startswith("start\nyyy") and len(outcome.printed) == 64 << 10


def test_rare_values() -> None:
    for value in (datetime.time(1, 2), Fraction(-1, 3), Decimal("1E+3"), 2**4000, -(2**100), float("inf"), "\ud800"):
        assert there_and_back(value) == value
