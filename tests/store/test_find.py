"""Names: what a person writes, what a folder is called, and which stored thing is meant."""

import json
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.core.errors import BadInput, CorruptFile, UnknownName
from factory.store.find import find, find_any
from factory.store.ref import KINDS, Ref, VariantName
from factory.store.store import Store

WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
REFS = st.builds(
    Ref,
    base=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}(--[A-Za-z0-9.-]{1,12})?", fullmatch=True),
    kind=st.sampled_from(KINDS),
    name=WORD,
    seed=st.integers(0, 2**31),
    key=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
)


@given(REFS)
def test_a_folder_name_says_what_is_in_it(ref):
    assert Ref.of_folder("store" / ref.folder) == ref
    assert Ref(**json.loads(json.dumps(ref.to_json()))) == ref


@given(REFS.filter(lambda ref: ref.kind in ("adapter", "merge", "model")))
def test_a_title_reads_back(ref):
    assert VariantName.parse(ref.title) == VariantName(ref.kind, ref.name, ref.base, ref.seed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base", VariantName("base", "base")),
        ("tiny/base", VariantName("base", "base", base="tiny")),
        ("math", VariantName(None, "math")),
        ("adapter:math", VariantName("adapter", "math")),
        ("merge:ties#1", VariantName("merge", "ties", seed=1)),
        ("math#0", VariantName(None, "math", seed=0)),
        ("adapter:math@0", VariantName("adapter", "math", step=0)),
        ("adapter:math@30", VariantName("adapter", "math", step=30)),
        ("adapter:math@30#2", VariantName("adapter", "math", seed=2, step=30)),
        ("tiny/adapter:math", VariantName("adapter", "math", base="tiny")),
        ("Qwen--Qwen2.5-1.5B/merge:dare", VariantName("merge", "dare", base="Qwen--Qwen2.5-1.5B")),
    ],
)
def test_names_people_write(text, expected):
    assert VariantName.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", ":", "adapter:", "addapter:math", "math#", "math#x", "-math", "a b", "math#-1", "x\n", "adapter:a/b"],
)
def test_what_is_no_name(text):
    with pytest.raises(BadInput, match="is not a variant; expected"):
        VariantName.parse(text)


@given(st.text())
def test_any_text_is_a_name_or_bad_input(text):
    try:
        VariantName.parse(text)
    except BadInput as error:
        assert repr(text)[1:-1] in repr(str(error))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def put(store, base="one-s0", kind="adapter", name="math", seed=0, key="a" * 16, when=None):
    """Something finished; `when` sets the folder's time, in seconds."""
    ref = Ref(base, kind, name, seed, key)
    store.build(ref, lambda out, state: {})
    if when is not None:
        os.utime(store.path(ref), (when, when))
    return ref


def remember_study(store, *refs, name="mine", when=None):
    """The card of a study that ran, and made these."""
    path = store.root / "studies" / name / "card.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"variants": [{"ref": ref.to_json()} for ref in refs] + [{"ref": None}]}))
    if when is not None:
        os.utime(path, (when, when))
    return path


def test_by_name_kind_and_full_name(store):
    ref = put(store)
    for text in ("math", "adapter:math", "math#0", "one-s0/adapter:math", "one-s0/adapter:math#0"):
        assert find(store, text) == ref
    for text in ("merge:math", "math#1", "two/adapter:math", "adapter:sql"):
        with pytest.raises(UnknownName, match=re.escape(f"unknown variant '{text}'")):
            find(store, text)


def test_an_unknown_name_suggests_the_nearest(store):
    put(store)
    put(store, kind="merge", name="linear")
    with pytest.raises(UnknownName, match="did you mean 'math'"):
        find(store, "maht")
    with pytest.raises(UnknownName, match="did you mean 'merge:linear'"):
        find(store, "merge:liner")


def test_an_empty_store_knows_nothing_and_is_not_made(store):
    with pytest.raises(UnknownName, match="it has none yet; 'factory run STUDY'"):
        find(store, "math")
    assert not store.root.exists()


def test_without_a_seed_the_first_is_meant(store):
    one, zero = put(store, seed=1, key="b" * 16), put(store, seed=0)
    assert find(store, "math") == zero
    assert find(store, "math#1") == one


def test_two_kinds_of_one_name_must_be_told_apart(store):
    adapter, merge = put(store), put(store, kind="merge")
    with pytest.raises(BadInput, match=r"one-s0/adapter:math#0 or one-s0/merge:math#0; give the full name"):
        find(store, "math")
    assert find(store, "adapter:math") == adapter
    assert find(store, "merge:math") == merge


def test_two_bases_must_be_told_apart_unless_one_is_asked_for(store):
    one, two = put(store), put(store, base="two-s0", key="b" * 16)
    with pytest.raises(BadInput, match=r"one-s0/adapter:math#0 or two-s0/adapter:math#0"):
        find(store, "math")
    assert find(store, "math", base="two-s0") == two
    assert find(store, "one-s0/adapter:math", base="two-s0") == one
    assert find(store, "two-s0/math") == two


def test_of_one_title_the_newest_is_meant(store):
    old, new = put(store, key="b" * 16, when=1000), put(store, key="a" * 16, when=2000)
    assert find(store, "math") == new
    assert find_any(store, "one-s0/adapter:math#0") == new
    assert find_any(store, f"one-s0/adapter:math#0@{old.key}") == find_any(store, old.key) == old


def test_the_study_that_ran_last_comes_before_the_newest(store):
    old, new = put(store, key="b" * 16, when=1000), put(store, key="a" * 16, when=2000)
    other = put(store, base="two-s0", key="c" * 16, when=3000)
    remember_study(store, other, new, name="before", when=5000)
    remember_study(store, old, when=6000)
    assert find(store, "math") == old
    # It says nothing of a name that it does not have.
    sql = put(store, name="sql", key="d" * 16)
    assert find(store, "sql") == sql


def test_a_damaged_thing_is_found_so_that_it_can_be_removed(store):
    ref = put(store)
    (store.path(ref) / "card.json").write_text("{")
    assert find(store, "math") == ref == find_any(store, "math") == find_any(store, ref.title)
    store.remove(ref)
    assert not list(store.refs())


def test_a_damaged_study_card_is_named(store):
    ref = put(store)
    card = remember_study(store, ref)
    card.write_text("{")
    with pytest.raises(CorruptFile, match=re.escape(str(card))):
        find(store, "math")
    assert find_any(store, ref.title) == ref


def test_cells_by_their_full_name(store):
    cell = put(store, kind="cell", name="adapter.math-on-tiny_math")
    assert find_any(store, "one-s0/cell:adapter.math-on-tiny_math#0") == cell
    with pytest.raises(UnknownName):
        find(store, "adapter.math-on-tiny_math")
