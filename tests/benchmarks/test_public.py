"""The public benchmarks from the mirror: how many items, what a right answer scores, what stands before an item."""

import json
import os
from pathlib import Path

import pytest

from factory.benchmarks._benchmark import load_benchmark
from factory.core.errors import BadInput, UnknownName
from factory.core.study import Decoding, Study
from factory.sandbox import probe
from factory.tasks._task import Source

DATA = os.environ.get("FACTORY_DATA", "")
SOURCE = Source(Path(DATA))
needs_data = pytest.mark.skipif(not DATA, reason="FACTORY_DATA is not set")
COUNTS = {
    "gsm8k": 1319, "math": 5000, "math500": 500, "humaneval": 164, "mbpp": 500, "arc_challenge": 1172,
    "hellaswag": 10042, "spider": 523,
}  # fmt: skip


@needs_data
@pytest.mark.parametrize("name", COUNTS)
def test_all_items_are_there_once_and_a_prefix_is_a_prefix(name):
    benchmark = load_benchmark(name)
    items = benchmark.items("test", SOURCE)
    assert len(items) == COUNTS[name]
    assert len({row.id for row in items}) == len(items)
    shots = benchmark.few_shot
    few, more = (benchmark.asked("test", SOURCE, limit, shots) for limit in (3, 7))
    assert few == more[:3]
    assert all(len(row.shots) == shots for row in more)
    assert all(row.prompt not in [question for question, _ in row.shots] for row in more)


@needs_data
@pytest.mark.skipif(not probe().usable, reason="no usable sandbox on this machine")
@pytest.mark.parametrize(
    "name, answer",
    [
        ("gsm8k", lambda row: row.gold),
        ("math", lambda row: row.gold),
        ("math500", lambda row: row.gold),
        ("humaneval", lambda row: row.gold),
        ("mbpp", lambda row: row.gold),
        ("mbpp", lambda row: f"```python\n{row.gold}\n```"),
        ("spider", lambda row: row.gold),
    ],
)
def test_a_right_answer_scores_by_every_metric_and_another_items_does_not(name, answer):
    benchmark = load_benchmark(name)
    rows = list(benchmark.items("test", SOURCE))[::37][:12]
    others = 0
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        assert benchmark.verify(answer(row), row).correct, row.id
        others += bool(benchmark.verify(answer(other), row).correct)
        assert not benchmark.verify("", row).correct
        if benchmark.measures is not None:
            scores = benchmark.measures(answer(row), row)
            assert set(scores) == set(benchmark.metrics)
            assert scores[benchmark.metrics[0]] == 1.0
    assert others <= 3, "other items' answers are accepted too often to be equal by chance"


@needs_data
def test_hellaswags_mirror_is_what_the_harnesss_cleaning_makes_of_the_original():
    from factory.benchmarks.hellaswag import row_of

    known = {row.prompt: row for row in load_benchmark("hellaswag").items("test", SOURCE)}
    original = Path(DATA, "hellaswag/hellaswag_val_1000_original_schema.jsonl").read_text().splitlines()
    for line in original:
        row = row_of(json.loads(line))
        own = known[row.prompt]  # the context is the same to the letter
        assert own.reference["gold"] == row.reference["gold"]
        assert own.reference["choices"] == [ending.lstrip() for ending in row.reference["choices"]]


@needs_data
def test_mbpps_examples_are_the_harnesss():
    pytest.importorskip("lm_eval")
    import ast

    import lm_eval

    text = (Path(lm_eval.__file__).parent / "tasks/mbpp/utils.py").read_text()
    # The module cannot be imported without a network: it loads a metric.
    function = next(n for n in ast.parse(text).body if getattr(n, "name", "") == "list_fewshot_samples")
    theirs = ast.literal_eval(function.body[0].value)
    (row,) = load_benchmark("mbpp").asked("test", SOURCE, 1, 3)
    assert [answer for _, answer in row.shots] == [f"{one['code']}\n[DONE]" for one in theirs]
    assert all(one["text"] in question for one, (question, _) in zip(theirs, row.shots, strict=True))


def test_a_study_says_less_than_the_benchmark_and_more_than_nothing():
    plain = {"benchmarks": {"gsm8k": {"few_shot": 8}, "tiny_math": None}, "decoding": {"samples": 4, "limit": 9}}
    study = Study(study="x", **plain)
    gsm8k, tiny = load_benchmark("gsm8k"), load_benchmark("tiny_math")
    decoding = study.decoding_of("gsm8k", gsm8k.decoding())
    assert (decoding.samples, decoding.few_shot, decoding.max_new_tokens, decoding.limit) == (0, 8, 256, 9)
    assert decoding.chat_template is False
    assert study.decoding_of("tiny_math", tiny.decoding()).samples == 4


def test_what_a_benchmark_does_not_have_is_named():
    with pytest.raises(UnknownName, match="unknown metric 'acc'; known: flexible-extract, strict-match"):
        load_benchmark("gsm8k").check(Decoding(metric="acc").model_dump(), "")
    with pytest.raises(BadInput, match="hellaswag has no worked examples"):
        load_benchmark("hellaswag").check(Decoding(few_shot=3, samples=0).model_dump(), "")
    with pytest.raises(UnknownName, match="did you mean 'humaneval'"):
        load_benchmark("humanevl")
    for name in COUNTS:
        if name != "spider":
            with pytest.raises(BadInput, match=f"benchmark {name} has no dev split, only test"):
                load_benchmark(name).items("dev", SOURCE)
    assert load_benchmark("task:gsm8k").method == "generate"
    assert load_benchmark("task:gsm8k").pinned == {}


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_a_mirror_without_the_file_says_which_and_the_hub_without_a_network_says_how(name, tmp_path, monkeypatch):
    benchmark = load_benchmark(name)
    with pytest.raises(BadInput, match="no such file in the mirror") as caught:
        benchmark.fingerprint(Source(tmp_path))
    assert "\n" not in str(caught.value)
