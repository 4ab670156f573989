"""What a study's variants cost, by hand, from cards in a real store."""

import pytest

from factory.analysis.costs import HEADS, cells, costs, print_costs
from factory.core.cost_words import in_words
from factory.core.hashing import key_of
from factory.store.ref import Ref
from factory.store.store import Store


@pytest.fixture
def study(tmp_path):
    """Two seeds of a specialist, a student of it, a merge of both with a search, and an adapter made elsewhere."""
    store, entries = Store(tmp_path), []

    def put(kind, name, seed, cost, parents=(), **more):
        ref = Ref("b", kind, name, seed, key_of(kind, name, seed))
        store.build(ref, lambda out, state: {"parents": list(parents), "cost": cost, **more})
        if kind != "search":
            entries.append({"name": f"{kind}:{name}", "seed": seed, "ref": ref.to_json()})
        return ref

    for seed in (1, 2):
        spent = {"completions": 80 * seed, "tokens": 800, "trained_tokens": 400, "verified": 80 * seed}
        parts = {"generation": 2.0 * seed, "scoring": 0.5, "update": 3.0}
        a = put("adapter", "a", seed, {**spent, "seconds": parts, "cpu_seconds": 10.0 * seed}, ["base-key"])
        told = {"completions": 20, "tokens": 100, "trained_tokens": 100, "verified": 0, "seconds": parts}
        s = put("adapter", "s", seed, {**told, "cpu_seconds": 4.0}, ["base-key", a.key])
        look = put("search", "m", seed, {"cpu_seconds": 3.0})
        put("merge", "m", seed, {"cpu_seconds": 1.0}, [a.key, s.key], search={"key": look.key})
    entries.append({"name": "base", "seed": 1, "ref": None})
    entries.append({"name": "adapter:gone", "seed": 1, "ref": Ref("b", "adapter", "gone", 1, "9" * 16).to_json()})
    return store, entries


def test_means_over_seeds_and_what_each_is_made_of_once(study):
    found = {cost.variant: cost for cost in costs(*study)}
    assert list(found) == ["adapter:a", "adapter:s", "merge:m"]
    a, s, m = found.values()
    assert (a.seeds, a.completions, a.tokens, a.trained_tokens, a.verified) == (2, 120, 800, 400, 120)
    assert a.seconds == {"generation": 3, "scoring": 0.5, "update": 3}
    assert (a.cpu_seconds, a.cpu_seconds_in_all) == (15, 15)
    assert (s.cpu_seconds, s.cpu_seconds_in_all) == (4, 19)  # with its teacher
    assert (m.cpu_seconds, m.cpu_seconds_in_all) == (1, 23)  # a once, though the student has it too; the search
    assert (m.completions, m.seconds["update"]) == (None, None)


def test_the_table_and_a_card_say_it_in_the_same_words(study):
    found = costs(*study)
    text = print_costs(found)
    assert "mean over 2 seeds" in text
    assert text.splitlines()[-1].split() == ["merge:m", *["–"] * 7, "1.0", "23.0"]
    assert cells(found[0]) == ["120", "800", "400", "120", "3.0", "0.5", "3.0", "15.0", "15.0"]
    told = in_words(study[0].card(Ref(**study[1][0]["ref"]))["cost"])
    assert set(HEADS) - set(told) == {"CPU-seconds in all"}
    assert print_costs([]) == ""
