"""The gate on real plans and real jobs: what it finds, what becomes of it."""

import json
import os
from pathlib import Path

import pytest

from factory.core.errors import BadInput
from factory.core.progress import silent
from factory.engine.contamination import build_gate
from factory.engine.study import prepare
from factory.store.store import Store

QUESTION = "A farmer has {n} red hens, {n} white ducks and a single brown goat in a field by the river; how many legs?"
HEADER = """from factory.core.records import Row
from factory.tasks._task import Task
from factory.verifiers import numeric
"""
TRAIN = (
    HEADER
    + """
def rows(split, source):
    reference, texts = {{"answer": "1", "style": "plain"}}, {texts}
    return [Row(f"{{split}}{{n}}", text, "1", reference) for n, text in enumerate(texts[split])]

def verify(completion, row):
    return numeric.verify(completion, row.reference)

TASK = Task({name!r}, 1, "", "", "", rows, verify, fingerprint=lambda source: "x")
"""
)
STUDY = """study: gate
adapters:
  math: {tasks: [lessons], max_steps: 1}
benchmarks: {exam: , tiny_math: {limit: 20}}
contamination: {action: ACTION}
"""


@pytest.fixture
def planned(tmp_path):
    """Plan a study whose task `lessons` holds one item of benchmark `exam` whole, and one but for its last word."""
    items = [QUESTION.format(n=n) for n in (3, 4, 5)] + ["How far is it from here to the moon and back by bicycle?"]
    lessons = [items[0].upper(), "Tell me: how far is it from here to the moon and back by train?", "What is 2+2?"]
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, train, test in (("lessons", lessons, ["none"]), ("exam", ["none"], items)):
        texts = {"train": train, "dev": ["none"], "test": test}
        (folder / f"{name}.py").write_text(TRAIN.format(texts=texts, name=name))
    (tmp_path / "studies").mkdir()

    def plan(action="exclude"):
        path = tmp_path / "studies" / "gate.yaml"
        path.write_text(STUDY.replace("ACTION", action))
        return prepare(tmp_path / "store", str(path), [], {}, None)

    return plan


def gate_of(prepared):
    return next(job for job in prepared.plan.jobs if job.ref.kind == "gate")


def run_gate(prepared):
    job = gate_of(prepared)
    folder = build_gate(prepared.store, job.ref, job.spec, silent)
    return prepared.store.card(job.ref), json.loads((folder / "overlaps.json").read_text())


def test_it_finds_the_exact_and_the_near_item_and_no_other(planned):
    card, overlaps = run_gate(planned())
    assert card["metrics"]["exam"] == {"items": 4, "exact": 1, "near": 1, "touched": 4}
    assert overlaps["exam"] == {"ids": ["test0", "test3"], "exact": ["test0"]}
    assert overlaps["tiny_math"]["ids"] == []


def test_a_study_can_be_refused_before_anything_is_trained(planned):
    prepared = planned("refuse")
    gate = gate_of(prepared)
    assert all(gate.ref in job.needs for job in prepared.plan.jobs if job.ref.kind == "adapter")
    with pytest.raises(BadInput, match=r"2 of 4 items of exam .* 'A farmer has 3 red hens") as caught:
        run_gate(prepared)
    assert "\n" not in str(caught.value)
    assert not prepared.store.has(gate.ref)


def test_the_gate_is_done_again_when_and_only_when_what_it_compares_changes(planned):
    key = gate_of(planned()).ref.key
    assert gate_of(planned()).ref.key == key
    assert gate_of(planned("report")).ref.key != key


TRAP = """study: trap
adapters: {math: {tasks: [TASK], max_steps: 1}}
benchmarks: {math: , math500: }
"""


@pytest.mark.skipif("FACTORY_DATA" not in os.environ, reason="FACTORY_DATA is not set")
@pytest.mark.parametrize("task, least, most", [("mtgrpo_math", 3840, 4100), ("math", 1, 300)])
def test_mt_grpos_math_file_holds_most_of_maths_test_problems(tmp_path, task, least, most):
    path = tmp_path / "trap.yaml"
    path.write_text(TRAP.replace("TASK", task))
    prepared = prepare(tmp_path / "store", str(path), [], {}, Path(os.environ["FACTORY_DATA"]))
    card, overlaps = run_gate(prepared)
    counts = card["metrics"]["math"]
    assert counts["items"] == 5000
    assert least <= counts["exact"] + counts["near"] <= most
    assert card["metrics"]["math500"]["exact"] == 0
    assert isinstance(prepared.store, Store)
    assert len(overlaps["math"]["ids"]) == counts["exact"] + counts["near"]


def test_rows_that_cost_minutes_to_draw_are_drawn_only_for_benchmarks_from_files(tmp_path, monkeypatch):
    from factory.tasks import _on_demand

    drawn = []
    plain = _on_demand.OnDemand.__getitem__
    monkeypatch.setattr(
        _on_demand.OnDemand, "__getitem__", lambda self, place: drawn.append(place) or plain(self, place)
    )
    path = tmp_path / "puzzles.yaml"
    adapters = "{one: {tasks: [countdown@tiny], max_steps: 1}}"
    path.write_text(f"study: puzzles\nadapters: {adapters}\nbenchmarks: {{countdown@tiny: {{limit: 5}}}}\n")
    card, _ = run_gate(prepare(tmp_path / "store", str(path), [], {}, None))
    assert card["metrics"]["countdown@tiny"]["items"] == 5
    assert slice(None, None, None) not in drawn
