"""What is missing in a store that holds some things: only that, and what is forced with all that depends on it."""

import pytest

from factory.core.errors import CorruptFile
from factory.engine.run import missing


def pretend(store, ref):
    """Something finished under a ref: planning looks at its card, not at what it is."""

    def make(out, _state):
        (out / "content.txt").write_text(ref.title)
        return {}

    store.build(ref, make)


def titles(jobs):
    return [job.ref.title.partition("/")[2].partition("#")[0] for job in jobs]


@pytest.fixture
def finished(planned):
    prepared = planned()
    for job in prepared.plan.jobs:
        pretend(prepared.store, job.ref)
    return prepared


def test_nothing_is_missing_when_all_is_there(finished):
    assert missing(finished.store, finished.plan) == []


def test_a_removed_thing_is_missing_alone(finished):
    """What was made from it stays valid: its key says what went into it."""
    job = next(job for job in finished.plan.jobs if job.ref.name == "math")
    finished.store.remove(job.ref)
    assert missing(finished.store, finished.plan) == [job]


def test_a_damaged_thing_is_neither_there_nor_missing(finished):
    job = next(job for job in finished.plan.jobs if job.ref.name == "sql")
    card = finished.store.path(job.ref) / "card.json"
    card.unlink()
    with pytest.raises(CorruptFile, match=f"{card.parent}.*missing.*run again"):
        missing(finished.store, finished.plan)


@pytest.mark.parametrize("name", ["math", "adapter:math"])
def test_forcing_an_adapter_rebuilds_what_depends_on_it_and_nothing_else(finished, name):
    found = titles(missing(finished.store, finished.plan, None, [name]))
    assert set(found) == {
        "adapter:math",
        "search:linear",
        "merge:linear",
        *(f"cell:{v}-on-{b}" for v in ("adapter.math", "merge.linear") for b in ("tiny_math", "tiny_ops")),
    }
    assert found.index("adapter:math") < found.index("search:linear") < found.index("merge:linear")


def test_forcing_the_base_rebuilds_everything(finished):
    everything = [job for job in finished.plan.jobs if job.ref.kind != "gate"]  # which needs no base
    assert missing(finished.store, finished.plan, None, ["embedded"]) == everything
    assert titles(missing(finished.store, finished.plan, "adapters", ["base:embedded"])) == [
        "base:embedded",
        "adapter:math",
        "adapter:sql",
    ]
