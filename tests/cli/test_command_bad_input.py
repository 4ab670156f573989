"""Bad input: one clear line on stderr, exit code 2, no traceback, nothing built."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

PICO = str(Path(__file__).parents[1] / "studies" / "pico.yaml")


def study(tmp_path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


GOOD = "study: mine\nadapters: {math: }\nbenchmarks: {tiny_math: }\n"

CASES = {
    "unknown study": (("run", "embeded"), "did you mean 'embedded'?"),
    "unknown recipe": (("train", "maht"), "did you mean 'math'?"),
    "unknown variant": (("show", "math"), "unknown variant 'math'"),
    "unknown task": (("tasks", "tiny_mth"), "did you mean 'tiny_math'?"),
    "unknown benchmark": (("score", "base", "--benchmark", "tiny_mth"), "did you mean 'tiny_math'?"),
    "unknown merge recipe": (("merge", "--recipe", "tiess", "a", "b"), "did you mean 'ties'?"),
    "unknown base": (("run", "embedded", "--base", "./nowhere", "--dry-run"), "no config.json"),
    "bad seeds": (("run", "embedded", "--seeds", "0,x"), "expected whole numbers"),
    "seed twice": (("run", "embedded", "--seeds", "1,1"), "given twice"),
    "bad set": (("run", "embedded", "--set", "seeds"), "expected key=value"),
    "set of an unknown key": (("run", "embedded", "--set", "decoding.sample=3"), "did you mean 'samples'?"),
    "an engine that is not there": (("run", "embedded", "--engine", "ray"), "--engine ray: not supported yet"),
    "forced name": (("run", "embedded", "--force", "mth"), "did you mean 'math'?"),
    "no mirror": (("run", "embedded", "--data", "nowhere"), "no such folder"),
    "spider without data": (("tasks", "spider"), "give an offline mirror"),
    "a file as store": (("ls", "--store", PICO), "is a file"),
    "a file as store of a plan": (("run", "embedded", "--dry-run", "--store", PICO), "is a file"),
    "a file as store of a report": (("report", "--store", PICO), "is a file"),
}


@pytest.mark.parametrize("name", CASES)
def test_one_line_that_says_what_to_do(factory, name, monkeypatch):
    monkeypatch.delenv("FACTORY_DATA", raising=False)
    arguments, expected = CASES[name]
    code, out, err = factory(*arguments)
    assert expected in err
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    assert out == ""
    assert not Path("store").exists()


STUDIES = {
    "unknown key": (GOOD + "adaptors: {}\n", "did you mean 'adapters'?"),
    "unknown nested key": (GOOD + "decoding: {temprature: 1}\n", "did you mean 'temperature'?"),
    "unknown recipe key": (GOOD.replace("{math: }", "{math: {max_step: 3}}"), "did you mean 'max_steps'?"),
    "unknown adapter recipe": (GOOD.replace("math:", "mat:"), "did you mean 'math'?"),
    "unknown task": (GOOD.replace("{math: }", "{math: {tasks: [tiny_maths]}}"), "did you mean 'tiny_math'?"),
    "unknown strategy": (GOOD.replace("{math: }", "{math: {strategy: singel}}"), "did you mean 'single'?"),
    "unknown reward": (GOOD.replace("{math: }", "{math: {rewards: {corect: 1}}}"), "did you mean 'correct'?"),
    "hackable reward": (GOOD.replace("{math: }", "{math: {rewards: {correct: 0.1, format: 1}}}"), "outrank"),
    "one task too many": (GOOD.replace("{math: }", "{math: {tasks: [tiny_math, tiny_sql]}}"), "use 'joint'"),
    "a batch that does not divide": (
        GOOD.replace("{math: }", "{math: {per_device_train_batch_size: 7}}"),
        "does not divide the 80 completions",
    ),
    "merge of an unknown adapter": (GOOD + "merges: {x: {recipe: linear, adapters: [mth]}}\n", "did you mean 'math'?"),
    "merge with an unknown recipe": (GOOD + "merges: {x: {recipe: tiess, adapters: [math]}}\n", "did you mean 'ties'?"),
    "too many weights": (
        GOOD + "merges: {x: {recipe: linear, adapters: [math], weights: [1, 2]}}\n",
        "2 weights for 1 adapters",
    ),
    "weights and search": (
        GOOD + "merges: {x: {recipe: linear, adapters: [math], weights: [1], search: {}}}\n",
        "either weights or search",
    ),
    "unknown benchmark": (GOOD.replace("tiny_math", "tiny_moth"), "did you mean 'tiny_math'?"),
    "no benchmark": ("study: mine\n", "'benchmarks' is missing"),
    "key twice": (GOOD + "study: again\n", "given twice"),
    "not YAML": ("study: [", "not valid YAML"),
    "not a mapping": ("- a\n", "expected 'key: value' lines"),
    "wrong type": (GOOD + "seeds: many\n", "seeds"),
    "negative seed": (GOOD + "seeds: [-1]\n", "seeds"),
    "nothing to score": (GOOD + "decoding: {samples: 0, greedy: false}\n", "nothing to score"),
}


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_with_a_mistake_names_it(factory, tmp_path, name):
    text, expected = STUDIES[name]
    code, out, err = factory("run", study(tmp_path, text))
    assert expected in err
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert not Path("store").exists()


def test_an_unknown_command_suggests_the_nearest(factory):
    code, _, err = factory("mrege")
    assert code == 2
    assert "did you mean 'merge'?" in err


def test_debug_shows_the_traceback(factory):
    code, _, err = factory("run", "embeded", "--debug")
    assert code == 2
    assert "Traceback" in err


def test_a_dry_run_writes_nothing_and_is_json_on_request(factory):
    code, out, _ = factory("run", PICO, "--dry-run", "--json")
    assert code == 0
    plan = json.loads(out)
    assert plan["to_build"] == len(plan["jobs"]) == 14
    assert {job["stage"] for job in plan["jobs"]} == {"check", "base", "adapters", "merges", "matrix"}
    assert not Path("store").exists()


def test_an_empty_store_says_how_to_fill_it(factory):
    code, out, _ = factory("ls")
    assert code == 0
    assert "factory run" in out
    code, out, _ = factory("ls", "--json")
    assert json.loads(out) == []


def test_doctor_finds_this_machine_able(factory):
    code, out, _ = factory("doctor", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["able"]
    assert {"python", "libraries", "store", "sandbox"} <= {check["name"] for check in found["checks"]}


def test_doctor_says_when_the_store_is_impossible(factory):
    code, out, _ = factory("doctor", "--store", f"{PICO}/below")
    assert code == 1
    assert "choose a folder with --store" in out


def test_every_command_explains_itself_with_an_example():
    from factory.cli import group

    for name in group.list_commands(None):
        shown = CliRunner().invoke(group, [name, "--help"])
        assert shown.exit_code == 0
        assert "Example" in shown.output, name
        assert "--json" in shown.output, name
        assert "--store" in shown.output, name
