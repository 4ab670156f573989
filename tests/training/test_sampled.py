"""Rejection sampling: a run cut off while it samples ends with the same samples; what is kept of them, by hand."""

import json
from types import SimpleNamespace

import pytest

from factory.core.errors import WorkFailed
from factory.core.progress import silent
from factory.core.recipes import AdapterRecipe
from factory.core.records import Row, Verdict
from factory.rewards import Pool
from factory.store.ref import Ref
from factory.store.store import Store
from factory.tasks._task import Task
from factory.training import sampled
from factory.training.strategy import Strategy
from factory.training.train import build_adapter
from factory.training.weighting import Fixed

ANYTHING = """
from factory.core.records import Row, Verdict
from factory.tasks._task import Task

ROWS = [Row(str(n), f"Say {n}.", "xanadu", {}) for n in range(9)]
VERIFY = lambda text, row: Verdict.of(text == "xanadu" or (%s and bool(text.strip())))
TASK = Task("anything", 1, "", "CC0-1.0", "", lambda split, source: ROWS, VERIFY)
"""


class CutOff(Exception):
    pass


@pytest.fixture
def spec(pico_base, tmp_path, monkeypatch):
    """A rejection training on a task of which the base solves all it says something to, or nothing."""
    from factory.core.discover import set_user_root

    def of(solvable):
        root = tmp_path / str(solvable)
        (root / "tasks").mkdir(parents=True)
        (root / "tasks" / "anything.py").write_text(ANYTHING % solvable)
        set_user_root(root)
        recipe = AdapterRecipe(
            tasks=["anything"],
            strategy="rejection",
            strategy_options={"prompts": 6, "keep": 2},
            max_steps=2,
            prompts_per_step=2,
            num_generations=3,
            max_completion_length=8,
            lora={"r": 2, "lora_alpha": 4},
        )
        base = {"label": "pico", "path": str(pico_base), "revision": None, "hash": "pico"}
        return {"recipe": recipe.model_dump(), "seed": 0, "base": base, "data": None}

    monkeypatch.setattr(sampled, "CHUNK", 2)
    yield of
    set_user_root(tmp_path)


def test_cut_off_while_sampling_and_resumed(spec, tmp_path):
    ref, plain = Ref("pico", "adapter", "x", 0, "0" * 16), spec(True)
    whole, resumed = Store(tmp_path / "whole"), Store(tmp_path / "resumed")

    def cut(text, done=None):
        if text.startswith("sampled 4/6"):
            raise CutOff

    build_adapter(whole, ref, plain, silent)
    with pytest.raises(CutOff):
        build_adapter(resumed, ref, plain, cut)
    path = resumed.work(ref) / sampled.FILE
    first = path.read_text()
    assert first.count("\n") == 2
    path.write_text(first + '{"right": [["any')  # a third line, half written
    said = []
    build_adapter(resumed, ref, plain, lambda text, done=None: said.append(text))
    assert [text for text in said if text.startswith("sampled")] == ["sampled 6/6 prompts"]
    one, two = whole.card(ref), resumed.card(ref)
    weights = "adapter_model.safetensors"
    assert (whole.path(ref) / weights).read_bytes() == (resumed.path(ref) / weights).read_bytes()
    assert one["demonstrations"] == two["demonstrations"]
    for name, expected in (("completions", 18), ("verified", 18)):
        assert one["cost"][name] == two["cost"][name] == expected
    assert one["cost"]["tokens"] == two["cost"]["tokens"] > one["cost"]["trained_tokens"] > 0


def test_nothing_right_is_one_line_that_says_how_many_were_sampled(spec, tmp_path):
    with pytest.raises(WorkFailed, match=r"task anything: none of the base's completions is right \(18 sampled") as no:
        build_adapter(Store(tmp_path / "s"), Ref("pico", "adapter", "x", 0, "1" * 16), spec(False), silent)
    assert "\n" not in str(no.value)


def test_equal_completions_of_a_row_count_once_and_so_many_are_kept(tmp_path):
    """All chunks are there, as after a kill between sampling and the first step: no model is needed."""
    rows = [Row(str(n), "?", "yes", {}) for n in range(3)]
    pool = Pool(Task("t", 1, "", "CC0-1.0", "", lambda split, source: rows, lambda text, row: Verdict.of(True)), rows)
    work = SimpleNamespace(pools={"t": pool}, strategy=Strategy(Fixed({"t": 1.0})), state=tmp_path, seed=0)
    spent = {"completions": 8, "tokens": 20, "seconds": {"generation": 1.5, "scoring": 0.25}}
    right = [["t", 0, "a"], ["t", 0, "b"], ["t", 0, "a"], ["t", 2, "a"], ["t", 0, "c"]]
    (tmp_path / sampled.FILE).write_text(json.dumps({"right": right, **spent}) + "\n")
    found, before, notes = sampled.sampled_right(work, prompts=3, keep=2)
    assert [(one.row, one.text) for one in found] == [(0, "a"), (0, "b"), (2, "a")]
    assert before == {**spent, "verified": 8}
    assert notes == {"kept": {"t": 3}}
