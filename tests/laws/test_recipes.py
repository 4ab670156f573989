"""Every shipped adapter recipe, merge recipe and study: it parses, and what it names exists."""

from pathlib import Path

import pytest

from factory.core.recipes import adapter_recipe
from factory.core.study import read_study
from factory.engine.plan import check_recipe, plan_study
from factory.merging.recipe import read_recipe, resolve
from factory.store.store import Store
from factory.tasks._task import Source

ROOT = Path(__file__).parents[2]
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
    resolve(recipe, 2, [0.5, 0.5])


@pytest.mark.parametrize("path", FOLDERS["studies"], ids=stem)
def test_studies(path):
    study, _ = read_study(str(path))
    assert study.study == path.stem, "its folder in the store is found by the file's name"
    for name in study.adapters:
        study.recipe(name)
    for name in study.benchmarks:
        study.decoding_of(name)


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
