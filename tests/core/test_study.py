"""Study and recipe files: what contradicts itself is refused when it is read, not an hour into the run."""

import pytest

from factory.core.config import parse
from factory.core.errors import BadInput, UnknownName
from factory.core.recipes import AdapterRecipe, adapter_recipe, find_recipe, recipe_names
from factory.core.study import Decoding, Study, read_study

SMALLEST = {"study": "s", "benchmarks": {"tiny_math": None}}


def study(**more):
    return parse(Study, {**SMALLEST, **more}, "s.yaml")


def merge(**more):
    return study(merges={"m": {"recipe": "linear", "adapters": ["a", "b"], **more}})


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: merge(weights=[1]), "merges.m: 1 weights for 2 adapters; give one for each"),
        (lambda: merge(weights=[]), "merges.m: 0 weights for 2 adapters; give one for each"),
        (lambda: merge(weights=[1, 1, 1]), "merges.m: 3 weights for 2 adapters; give one for each"),
        (lambda: merge(weights=[1, 1], search={}), "merges.m: give either weights or search, not both"),
        (lambda: merge(search={"candidates": []}), "merges.m.search.candidates: list should have at least 1 item"),
        (lambda: merge(adapters=[]), "merges.m.adapters: list should have at least 1 item"),
        (lambda: merge(rank=0), "merges.m.rank: input should be greater than 0, got 0"),
        (lambda: merge(rank="ful"), "merges.m.rank: rank 'ful': expected a positive number, auto, auto:SHARE or full"),
        (lambda: merge(serach={}), "unknown key 'merges.m.serach'; did you mean 'search'?"),
        (lambda: merge(search={"item": 3}), "unknown key 'merges.m.search.item'; did you mean 'items'?"),
        (lambda: merge(weights=[1, float("nan")]), "merges.m.weights.1: input should be a finite number"),
        (lambda: study(seeds=[0, 1, 0]), "seeds: a seed is given twice: [0, 1, 0]"),
        (lambda: study(seeds=[]), "seeds: list should have at least 1 item"),
        (lambda: study(seeds=[-1]), "seeds.0: input should be greater than or equal to 0, got -1"),
        (lambda: study(benchmarks={}), "benchmarks: dictionary should have at least 1 item"),
        (lambda: study(study="../up"), "study: string should match pattern"),
        (lambda: study(adapters={"../up": {}}), "adapters.../up: string should match pattern"),
        (
            lambda: study(decoding={"samples": 0, "greedy": False}),
            "decoding: nothing to score: samples is 0 and greedy is false",
        ),
        (lambda: study(decoding={"temprature": 1}), "unknown key 'decoding.temprature'; did you mean 'temperature'?"),
    ],
)
def test_a_study_that_contradicts_itself(build, says):
    with pytest.raises(BadInput) as caught:
        build()
    assert str(caught.value).startswith(f"s.yaml: {says}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rank", [1, 64, "full", "auto", "auto:0.9", "q_proj=8,mlp=auto,16"])
def test_ranks_that_are_fine(rank):
    assert merge(rank=rank).merges["m"].rank == rank


def recipe(**more):
    return parse(AdapterRecipe, {"tasks": ["tiny_math"], **more}, "a.yaml")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"tasks": ["tiny_math", "tiny_sql", "tiny_math"]}, "tasks: a task is named twice: tiny_math, tiny_sql"),
        ({"tasks": []}, "tasks: list should have at least 1 item"),
        (
            {"prompts_per_step": 3, "num_generations": 4, "per_device_train_batch_size": 5},
            "per_device_train_batch_size 5 does not divide the 12 completions of a step "
            "(prompts_per_step 3 x num_generations 4)",
        ),
        ({"num_generations": 1}, "num_generations: input should be greater than or equal to 2, got 1"),
        ({"rewards": {}}, "rewards: dictionary should have at least 1 item"),
        ({"lora": {"rank": 4}}, "unknown key 'lora.rank'; "),
        ({"learnin_rate": 1}, "unknown key 'learnin_rate'; did you mean 'learning_rate'?"),
        ({"learning_rate": "1e-5 or so"}, "learning_rate: input should be a valid number"),
    ],
)
def test_a_recipe_that_contradicts_itself(more, says):
    with pytest.raises(BadInput) as caught:
        recipe(**more)
    assert str(caught.value).startswith(f"a.yaml: {says}")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 12])
def test_every_divisor_of_a_step_is_a_batch(size):
    recipe(prompts_per_step=3, num_generations=4, per_device_train_batch_size=size)


def test_a_benchmark_overrides_only_what_it_names():
    checked = study(decoding={"samples": 7, "top_p": 0.9}, benchmarks={"a": {"samples": 2}, "b": None})
    assert checked.decoding_of("a") == Decoding(samples=2, top_p=0.9)
    assert checked.decoding_of("b") == Decoding(samples=7, top_p=0.9)
    with pytest.raises(BadInput, match="study s, benchmark a: unknown key 'sampels'; did you mean 'samples'"):
        study(benchmarks={"a": {"sampels": 2}}).decoding_of("a")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a study and a recipe of its own, one with the name of a shipped one."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "mine.yaml").write_text("study: mine\nadapters: {math: {max_steps: 5}}\nbenchmarks: {b: }")
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "math.yaml").write_text("tasks: [own]\nlora: {r: 4, lora_alpha: 9}\nmax_steps: 77")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_by_name_by_file_and_with_settings(here):
    by_name, path = read_study("mine")
    assert (by_name.study, path.resolve()) == ("mine", here / "studies" / "mine.yaml")
    by_file, _ = read_study(str(path))
    assert by_file == by_name
    changed, _ = read_study("mine", ["decoding.samples=9", "adapters.math.lora.r=2", "seeds=[3, 4]"])
    assert (changed.decoding.samples, changed.seeds) == (9, [3, 4])
    assert changed.recipe("math").lora.r == 2
    with pytest.raises(BadInput, match=r"mine\.yaml: unknown key 'decoding.sample'; did you mean 'samples'"):
        read_study("mine", ["decoding.sample=9"])


def test_the_users_recipe_wins_and_the_study_wins_over_it(here):
    """Mapping by mapping: what the study does not name stays as the recipe has it."""
    plain = adapter_recipe("math")
    assert (plain.tasks, plain.max_steps) == (["own"], 77)
    checked = adapter_recipe("math", {"max_steps": 5, "lora": {"r": 2}})
    assert (checked.tasks, checked.max_steps, checked.lora.r, checked.lora.lora_alpha) == (["own"], 5, 2, 9)
    assert "sql" in recipe_names("adapter recipe")  # the shipped ones are there as well
    with pytest.raises(BadInput, match="study mine, adapter math: unknown key 'max_step'; did you mean 'max_steps'"):
        adapter_recipe("math", {"max_step": 5}, "study mine, adapter math")


def test_an_adapter_with_tasks_of_its_own_needs_no_file(here):
    assert adapter_recipe("fresh", {"tasks": ["x"]}).tasks == ["x"]
    with pytest.raises(UnknownName, match="unknown adapter recipe 'fresh'"):
        adapter_recipe("fresh", {"max_steps": 3})


def test_an_unknown_name_suggests_the_nearest(here):
    with pytest.raises(UnknownName, match="unknown study 'mien'; did you mean 'mine'"):
        read_study("mien")
    with pytest.raises(UnknownName, match="unknown adapter recipe 'maths'; did you mean 'math'"):
        find_recipe("adapter recipe", "maths")
    with pytest.raises(BadInput, match=r"studies/none\.yaml: no such file"):
        read_study("studies/none.yaml")
