"""Configuration: every mistake a hand can make in YAML is one line that says where it is and what was meant."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.core.config import Strict, mapping_in, merged, parse, read_yaml, with_overrides
from factory.core.errors import BadInput


class Leaf(Strict):
    weight: float = 1.0
    steps: int = 3


class Branch(Strict):
    leaf: Leaf | None = None
    leaves: list[Leaf] = []
    rank: int | str = 1


class Tree(Strict):
    name: str
    branches: dict[str, Branch] = {}
    free: dict[str, object] = {}


def refusal(value):
    with pytest.raises(BadInput) as caught:
        parse(Tree, value, "tree.yaml")
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"nam": "x"}, "unknown key 'nam'; did you mean 'name'?"),
        ({"name": "x", "zzz": 1}, "unknown key 'zzz'; known: branches, free, name"),
        ({"name": "x", "branches": {"a": {"leef": {}}}}, "unknown key 'branches.a.leef'; did you mean 'leaf'?"),
        (
            {"name": "x", "branches": {"a": {"leaf": {"wieght": 1}}}},
            "unknown key 'branches.a.leaf.wieght'; did you mean 'weight'?",
        ),
        (
            {"name": "x", "branches": {"a": {"leaves": [{}, {"step": 1}]}}},
            "unknown key 'branches.a.leaves.1.step'; did you mean 'steps'?",
        ),
        ({}, "'name' is missing"),
        ({"name": 3}, "name: input should be a valid string, got 3"),
        (
            {"name": "x", "branches": {"a": {"leaf": {"steps": 1.5}}}},
            "branches.a.leaf.steps: input should be a valid integer",
        ),
        ({"name": "x", "branches": {"a": {"rank": [1]}}}, "branches.a.rank: input should be a valid integer"),
        ({"name": "x", "branches": [1]}, "branches: input should be a valid dictionary"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_was_meant(value, says):
    assert refusal(value).startswith(f"tree.yaml: {says}")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_has_no_json_is_refused(number):
    """It would reach the content key, where JSON cannot hold it."""
    text = refusal({"name": "x", "branches": {"a": {"leaf": {"weight": number}}}})
    assert text.startswith("tree.yaml: branches.a.leaf.weight: input should be a finite number")


def test_nothing_can_be_changed_after_parsing():
    tree = parse(Tree, {"name": "x"}, "tree.yaml")
    with pytest.raises(ValueError, match="frozen"):
        tree.name = "y"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: 1\nb: 2\na: 3\n", "not valid YAML: key 'a' is given twice (line 3)"),
        (b"a:\n  b: 1\n  b: 2\n", "not valid YAML: key 'b' is given twice (line 3)"),
        (b"a: [{b: 1, b: 2}]\n", "not valid YAML: key 'b' is given twice (line 1)"),
        (b"a: \xff\n", "not UTF-8 text (invalid start byte at byte 3)"),
        (b"a: [1\n", "not valid YAML: while parsing a flow sequence"),
        (b"a: \x00\n", "not valid YAML: unacceptable character"),
        (b"a: 2020-13-45\n", "not valid YAML: month must be in 1..12"),
        (b"? [a, b]\n: 1\n", "not valid YAML: a key is a list or a mapping (line 1)"),
        (b"a: &x {b: *x}\n", "not valid YAML: found unconstructable recursive node"),
        (b"a: !!python/object/apply:os.system [true]\n", "not valid YAML: could not determine a constructor"),
        (b"- a\n- b\n", "expected 'key: value' lines, got a list"),
        (b"just text\n", "expected 'key: value' lines, got a str"),
    ],
)
def test_a_file_that_is_no_mapping_is_one_line(tmp_path, content, says):
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: {says}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n", "---\n"])
def test_an_empty_file_is_an_empty_mapping(tmp_path, content):
    """The record then says which key is missing, which is more help than 'empty'."""
    path = tmp_path / "study.yaml"
    path.write_text(content)
    assert read_yaml(path) == {}


def test_a_path_that_is_no_file(tmp_path):
    (tmp_path / "file").write_text("a: 1")
    for path, says in [
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "is a folder; expected a YAML file"),
        (tmp_path / "file" / "below", "cannot be read: Not a directory"),
    ]:
        with pytest.raises(BadInput) as caught:
            read_yaml(path)
        assert str(caught.value) == f"{path}: {says}"


def test_the_locale_does_not_matter(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes("description: größer\n".encode())
    script = "import sys; from pathlib import Path; from factory.core.config import read_yaml as r; "
    script += "assert r(Path(sys.argv[1]))['description'] == 'gr\\xf6\\xdfer'"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=True, timeout=60)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("a.b=2", {"a": {"b": 2, "c": [1]}}),
        (" a.b =2", {"a": {"b": 2, "c": [1]}}),
        ("a.c=[3, x]", {"a": {"b": 1, "c": [3, "x"]}}),
        ("new.deep.key=yes=no", {"a": {"b": 1, "c": [1]}, "new": {"deep": {"key": "yes=no"}}}),
        ("a=", {"a": None}),
        ("a={b: 0.5}", {"a": {"b": 0.5}}),
    ],
)
def test_settings_take_yaml_values_at_dotted_paths(setting, expected):
    plain = {"a": {"b": 1, "c": [1]}}
    assert with_overrides(plain, [setting]) == expected
    assert plain == {"a": {"b": 1, "c": [1]}}


def test_settings_apply_in_order_and_fill_in_what_is_empty():
    assert with_overrides({"a": None}, ["a.b=1", "a.b=2", "a.c=3"]) == {"a": {"b": 2, "c": 3}}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("a", "expected key=value"),
        ("", "expected key=value"),
        ("=1", "expected key=value"),
        ("a..b=1", "expected key=value"),
        ("a.=1", "expected key=value"),
        ("a.b.c=1", "'b' is not a mapping"),
        ("a.b=[1", "the value is not valid YAML"),
        ("a.b=2020-13-45", "the value is not valid YAML: month must be in 1..12"),
        ("a={b: 1, b: 2}", "the value is not valid YAML: key 'b' is given twice"),
    ],
)
def test_a_setting_that_cannot_be_applied_is_one_line(setting, says):
    with pytest.raises(BadInput) as caught:
        with_overrides({"a": {"b": 1}}, [setting])
    assert str(caught.value).startswith(f"--set {setting}: {says}")
    assert "\n" not in str(caught.value)


PLAIN = st.recursive(
    st.none() | st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from("abc"), PLAIN, max_size=3)


@given(MAPPINGS, MAPPINGS, MAPPINGS)
def test_laying_one_mapping_on_another(a, b, c):
    """Nothing laid on is nothing changed, twice is once, and what is laid on is found in the result."""
    assert merged(a, {}) == a
    assert merged({}, a) == a
    once = merged(a, b)
    assert merged(once, b) == once
    for key, value in b.items():
        if not isinstance(value, dict):
            assert once[key] == value
    assert set(merged(once, c)) == {*a, *b, *c}


def test_anchors_can_be_merged_and_own_keys_win():
    text = "a: &base {x: 1, y: {z: 2}}\nb:\n  <<: *base\n  x: 3\nc: {<<: [*base, {w: 4}], y: 5}\n"
    assert mapping_in(text, "here") == {
        "a": {"x": 1, "y": {"z": 2}},
        "b": {"x": 3, "y": {"z": 2}},
        "c": {"x": 1, "y": 5, "w": 4},
    }
    with pytest.raises(BadInput, match="key 'x' is given twice"):
        mapping_in("a: &base {x: 1}\nb: {<<: *base, x: 1, x: 2}\n", "here")
