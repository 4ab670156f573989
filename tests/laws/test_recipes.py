"""Every shipped adapter recipe, merge recipe and study: it parses, and what it names exists."""

import os
from pathlib import Path

import pytest

from factory.core.discover import names
from factory.core.recipes import AdapterRecipe, adapter_recipe
from factory.core.study import read_study
from factory.engine.plan import check_recipe, plan_study
from factory.merging.contract import load_method
from factory.merging.recipe import read_recipe, resolve
from factory.rewards import Pool, Scorer
from factory.store.store import Store
from factory.tasks._find import find_task
from factory.tasks._task import Source

ROOT = Path(__file__).parents[2]
TUNED = ("uniform", "dapo", "mt_grpo")
FOLDERS = {folder: sorted((ROOT / folder).glob("*.yaml")) for folder in ("adapters", "merge_recipes", "studies")}


def stem(path):
    return path.stem


def test_something_is_shipped():
    assert all(FOLDERS.values())


@pytest.mark.parametrize("path", FOLDERS["adapters"], ids=stem)
def test_adapter_recipes(path):
    recipe = adapter_recipe(str(path))
    check_recipe(path.stem, recipe, Source())
    assert recipe.description, "the card shows it"


@pytest.mark.parametrize("path", FOLDERS["merge_recipes"], ids=stem)
def test_merge_recipes_resolve_for_two_adapters_named_on_the_command_line(path):
    recipe, _ = read_recipe(str(path))
    weighted = "weight" in load_method(recipe.merge_method).CONTRACT.parameters
    resolve(recipe, 2, [0.5, 0.5] if weighted else None)


@pytest.mark.parametrize("path", FOLDERS["studies"], ids=stem)
def test_studies(path):
    study, _ = read_study(str(path))
    assert study.study == path.stem, "its folder in the store is found by the file's name"
    for name in study.adapters:
        study.recipe(name)
    for name in study.benchmarks:
        study.decoding_of(name)


def test_mt_grpo_is_tuned_with_the_same_budget_for_each_and_not_on_the_seeds_of_its_result():
    tuning, result = (read_study(str(ROOT / "studies" / f"{name}.yaml"))[0] for name in ("mt_grpo_tuning", "mt_grpo"))
    assert (tuning.base, tuning.embedded) == (result.base, result.embedded)
    assert not set(tuning.seeds) & set(result.seeds)
    tried = {name: [tuning.recipe(one) for one in tuning.adapters if one.startswith(f"{name}_")] for name in TUNED}
    assert len({len(recipes) for recipes in tried.values()}) == 1
    for name, recipes in tried.items():
        assert result.recipe(name).model_dump() in [one.model_dump() for one in recipes]
    alike = {name: result.recipe(name) for name in result.adapters}
    for field in ("tasks", "rewards", "lora", "max_steps", "prompts_per_step", "num_generations", "temperature"):
        assert len({str(getattr(recipe, field)) for recipe in alike.values()}) == 1, field


def test_the_default_study_is_planned_with_nothing_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    study, _ = read_study(str(ROOT / "studies" / "embedded.yaml"))
    plan = plan_study(Store(tmp_path / "store"), study, Source())
    assert len(plan.cells) == len(plan.variants) * len(study.benchmarks)
    assert {title for _, title, _ in plan.variants} == {
        "base",
        *(f"adapter:{name}" for name in study.adapters),
        *(f"merge:{name}" for name in study.merges),
    }


WEIGHTS = {"default": AdapterRecipe(tasks=["-"]).rewards} | {
    path.stem: adapter_recipe(str(path)).rewards for path in FOLDERS["adapters"]
}


@pytest.mark.parametrize("name", names("factory.tasks"))
def test_no_wrong_completion_outranks_a_right_one(name):
    """Under every shipped recipe's rewards: other rows' answers, cut off ones, repeated ones, and silence."""
    task = find_task({"zebra": "zebra@easy", "reasoning_gym": "reasoning_gym:chain_sum"}.get(name, name))
    data = os.environ.get("FACTORY_DATA")
    if not task.generated and data is None:
        pytest.skip(f"task {name} reads files and FACTORY_DATA is not set")
    rows = [task.rows(task.splits[-1], Source(Path(data) if data else None))[place] for place in range(2)]
    paid = {one: Scorer({name: Pool(task, rows)}, weights, 1.0) for one, weights in WEIGHTS.items()}
    for row in rows:
        tried = [
            "",
            row.gold,
            *(other.gold for other in rows),
            *(row.gold[:end] for end in range(1, len(row.gold), 29)),
        ]
        verdicts = [task.verify(text, row) for text in [*tried, row.gold + row.gold, f"<answer>{row.prompt}</answer>"]]
        assert any(one.correct for one in verdicts) and not all(one.correct for one in verdicts)
        for one, scorer in paid.items():
            right = min(scorer.reward(name, verdict) for verdict in verdicts if verdict.correct)
            wrong = max(scorer.reward(name, verdict) for verdict in verdicts if not verdict.correct)
            assert wrong < right, (one, row)
