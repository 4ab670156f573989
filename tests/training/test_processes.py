"""Two processes on one adapter: the shares and samples of one, and a resume to the same bits."""

import pytest

from factory.core.atomic import read_jsonl
from factory.core.errors import BadInput, WorkFailed
from factory.core.progress import silent
from factory.core.recipes import AdapterRecipe
from factory.store.ref import Ref
from factory.store.store import Store
from factory.training.train import build_adapter

REF = Ref("pico", "adapter", "x", 0, "0" * 16)
WEIGHTS = "adapter_model.safetensors"


class CutOff(Exception):
    """The run is stopped here."""


def spec_of(base, processes, **options):
    recipe = AdapterRecipe(
        tasks=["tiny_math", "tiny_sql"],
        strategy="joint",
        task_weights={"tiny_math": 3.0, "tiny_sql": 1.0},
        max_steps=4,
        save_steps=2,
        prompts_per_step=6,
        num_generations=4,
        learning_rate=1e-2,
        max_completion_length=12,
        lora={"r": 2, "lora_alpha": 4},
        rewards={"correct": 1.0, "format": 0.5},
        **options,
    )
    spec = {"recipe": recipe.model_dump(), "seed": 0, "data": None}
    spec["base"] = {"label": "pico", "path": str(base), "revision": None, "hash": "pico"}
    return {**spec, "processes": processes} if processes > 1 else spec


def made(store):
    return [(line["strategy"]["quota"], line["tasks"]) for line in read_jsonl(store.path(REF) / "metrics.jsonl")]


def test_two_processes_have_the_shares_and_samples_of_one_and_resume_to_the_same_bits(pico_base, tmp_path):
    one, two, resumed = (Store(tmp_path / name) for name in ("one", "two", "resumed"))
    build_adapter(one, REF, spec_of(pico_base, 1), silent)
    build_adapter(two, REF, spec_of(pico_base, 2), silent)
    assert two.card(REF)["processes"] == 2
    for (quota, tasks), (wanted, alone) in zip(made(two), made(one), strict=True):
        assert quota == wanted
        assert {name: task["completions"] for name, task in tasks.items()} == {
            name: task["completions"] for name, task in alone.items()
        }
    assert two.card(REF)["data"]["tiny_math"]["used"] == one.card(REF)["data"]["tiny_math"]["used"]
    # Each process has a random state of its own, or both would have sampled alike.
    work = two.work(REF) / "checkpoints" / "checkpoint-4"
    if work.is_dir():
        assert {path.name for path in work.glob("rng_state_*")} == {"rng_state_0.pth", "rng_state_1.pth"}

    def cut(text, done=None):
        if text.startswith("step 3/"):
            raise CutOff

    with pytest.raises(CutOff):
        build_adapter(resumed, REF, spec_of(pico_base, 2), cut)
    checkpoints = [path.name for path in (resumed.work(REF) / "checkpoints").glob("checkpoint-*")]
    assert checkpoints == ["checkpoint-2"]
    build_adapter(resumed, REF, spec_of(pico_base, 2), silent)
    assert (resumed.path(REF) / WEIGHTS).read_bytes() == (two.path(REF) / WEIGHTS).read_bytes()


def test_what_a_process_refuses_is_one_line_and_a_dead_one_ends_the_others(pico_base, tmp_path, monkeypatch):
    spec = spec_of(pico_base, 2)
    spec["recipe"] = AdapterRecipe(tasks=["tiny_math"], strategy="sft", max_steps=2).model_dump()
    with pytest.raises(BadInput, match="strategy 'sft' trains in one process; leave --processes out"):
        build_adapter(Store(tmp_path / "a"), REF, spec, silent)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "factory.py").write_text("raise SystemExit(7)")  # what the ranks find instead of the package
    with pytest.raises(WorkFailed, match=r"process \d of the training ended with 7"):
        build_adapter(Store(tmp_path / "b"), REF, spec_of(pico_base, 2), silent)
