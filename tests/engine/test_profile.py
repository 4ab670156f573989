"""Every option of the 7B profile is accepted by the real trainers, on a tiny random model built as its base is."""

import os
from pathlib import Path

import pytest

from factory.core.progress import silent
from factory.core.study import read_study
from factory.engine.study import prepare
from factory.engine.worker import run_job
from factory.store.factors import read_factors

STUDY = str(Path(__file__).parents[2] / "studies" / "qwen2.5-coder-7b.yaml")
SHORT = {"max_steps": 2, "prompts_per_step": 4, "num_generations": 2, "max_completion_length": 4, "train_rows": 12}
SCORED = ("gsm8k", "spider", "arc_challenge")
"""One of each way: worked examples, execution, choices compared. What is asked does not depend on the base."""


@pytest.fixture(scope="module")
def prepared(tiny_qwen2, tmp_path_factory):
    if not os.environ.get("FACTORY_DATA"):
        pytest.skip("the profile's tasks read files and FACTORY_DATA is not set")
    store = tmp_path_factory.mktemp("profile") / "store"
    adapters = ("math", "sql", "python", "multitask")
    settings = [f"adapters.{name}.{key}={value}" for name in adapters for key, value in SHORT.items()]
    settings += ["decoding.max_new_tokens=4", "benchmarks.spider.max_new_tokens=4"]
    changes = {"base": str(tiny_qwen2), "limit": 1}
    return prepare(store, STUDY, settings, changes, Path(os.environ["FACTORY_DATA"]))


def run(prepared, wanted):
    done = {}
    for job in prepared.plan.jobs:
        if wanted(job):
            run_job(prepared.store, job.ref, job.run, job.spec, silent)
            done[job.ref.name] = prepared.store.card(job.ref)
    return done


def test_all_adapters_train_all_merges_merge_and_variants_are_scored_in_4_bit(prepared):
    adapters = run(prepared, lambda job: job.stage == "adapters")
    assert set(adapters) == {"math", "sql", "python", "multitask"}
    for name, card in adapters.items():
        assert card["steps"] == 2
        assert card["quantization"]["kind"] == "nf4" and card["quantization"]["double_quant"]
        assert card["quantization"]["compute_dtype"] == "float32"
        shipped = read_study(STUDY)[0].recipe(name).model_dump()
        assert {key for key in shipped if card["recipe"][key] != shipped[key]} <= SHORT.keys(), (
            "the profile's own options"
        )
    merges = run(prepared, lambda job: job.stage == "merges")
    assert set(merges) == {"linear", "ties"}
    assert all(card["base"].get("quantization", "full") == "full" for card in merges.values())
    for job in prepared.plan.jobs:
        if job.stage in ("adapters", "merges"):
            assert len(read_factors(prepared.store.path(job.ref)).modules) == 14
    variants = ("base", "adapter:multitask", "merge:ties")
    cells = run(
        prepared,
        lambda job: job.stage == "matrix" and job.spec["benchmark"] in SCORED and job.spec["variant"] in variants,
    )
    assert len(cells) == len(SCORED) * len(variants)
    assert all(card["quantization"] == "nf4" and card["data"]["items"] == 1 for card in cells.values())
