"""Hashing: the scheme is pinned, because a change of it orphans every store; and seeds share nothing."""

import hashlib
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.core.hashing import canonical, digest, file_digest, key_of, seed_from, unit_from

PARTS = st.lists(st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.none() | st.booleans())


def test_the_scheme_is_pinned():
    """A change here is a change of every key, split and seed: no store made before would be found again."""
    assert canonical(["a", {"b": 1, "a": [1.5, None, "é"]}]) == '["a",{"a":[1.5,null,"é"],"b":1}]'
    # By coreutils: printf '["a",{"a":[1.5,null,"é"],"b":1}]' | sha256sum
    assert digest("a", {"b": 1, "a": [1.5, None, "é"]}) == (
        "381eefd01f1e6c07e6d73ff498dd10e521d45e0669090ac0ba5db64e9765ce14"
    )
    assert key_of("x") == "cd65ea2c2ad99e94"
    # The first 12 hex digits of sha256('["seed","rows",0]'), modulo 2**31.
    assert seed_from("rows", 0) == 580828082
    assert unit_from("train", "row", 7) == 0.9504850926154167


def test_another_process_says_the_same():
    script = "from factory.core.hashing import *; print(key_of({'b': 1, 'a': 2}), seed_from('s', 3))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.split() == [key_of({"a": 2, "b": 1}), str(seed_from("s", 3))]


def test_neighbouring_seeds_share_nothing():
    """With `seed + index`, rows 1..999 of seed 0 would be rows 0..998 of seed 1."""
    draws = {seed: {seed_from("rows", seed, index) for index in range(1000)} for seed in range(5)}
    assert all(len(values) == 1000 for values in draws.values())
    assert len(set.union(*draws.values())) == 5000
    first = {seed: random.Random(seed_from("rows", seed)).random() for seed in range(200)}
    assert len(set(first.values())) == 200


def test_where_one_part_ends_and_the_next_begins_matters():
    values = [("ab", "c"), ("a", "bc"), ("abc",), ("a", "b", "c"), (["a", "b"], "c"), ("a,b", "c"), ('a","b', "c")]
    assert len({digest(*parts) for parts in values}) == len(values)
    assert digest(1) != digest("1") != digest(True) != digest(1)


@given(PARTS, PARTS)
def test_equal_parts_and_only_they_have_equal_keys(a, b):
    same = canonical(a) == canonical(b)
    assert (key_of(*a) == key_of(*b)) is same


@given(PARTS)
def test_ranges(parts):
    assert 0 <= seed_from(*parts) < 2**31
    assert 0.0 <= unit_from(*parts) < 1.0


def test_units_are_spread_evenly():
    """Chi-squared of 10,000 draws in 20 bins: 19 degrees of freedom, 43.8 at one in a thousand."""
    counts = [0] * 20
    for index in range(10_000):
        counts[int(unit_from("row", index) * 20)] += 1
    assert sum((count - 500) ** 2 / 500 for count in counts) < 43.8


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_has_not_has_no_key(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        key_of({"weight": number})


def test_a_file_larger_than_a_buffer(tmp_path):
    content = random.Random(0).randbytes(3_000_001)
    (tmp_path / "big").write_bytes(content)
    assert file_digest(tmp_path / "big") == hashlib.sha256(content).hexdigest()
