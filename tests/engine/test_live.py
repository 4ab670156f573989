"""A training as it is shown: numbers from the metrics lines, lines that fit, files read while they grow."""

import io
import json

import pytest
from rich.console import Console

from factory.engine.follow import Follow
from factory.engine.panel import explained, panel
from factory.engine.plan import Job
from factory.engine.watch import Bars, Lines
from factory.store.ref import Ref
from factory.store.store import Store


def task(correct, **options):
    return {
        "prompts": 6,
        "kept": 4,
        "informative": 3,
        "completions": 48,
        "reward": correct + 0.09,
        "components": {"correct": correct, "format": 0.9},
        "zero_variance": 1 / 3,
        "length": 23.4,
        "unscorable": 0,
        **options,
    }


def line(step, correct=(0.2, 0.6), **options):
    names = ("countdown@very_hard@raw", "zebra@tiny")
    return {
        "step": step,
        "tasks": {name: task(value) for name, value in zip(names, correct, strict=True)},
        "strategy": {
            "weights": dict(zip(names, (0.7, 0.3), strict=True)),
            "quota": dict(zip(names, (5, 3), strict=True)),
            "share": {},
            "rounds": 2,
            "informative": 8,
            "improvement": dict(zip(names, (0.0123, -0.1), strict=True)),
        },
        "seconds": {"generation": 1.25, "scoring": 0.01, "update": 0.8},
        "loss": -0.0012,
        "grad_norm": 0.31,
        "kl": None,
        "entropy": 0.71,
        **options,
    }


def test_every_number_is_a_mean_of_the_last_ten_steps():
    lines = [line(step, (0.9, 0.9)) for step in range(5)] + [line(step, (0.1, 0.5)) for step in range(5)]
    text = panel(lines, 200)
    assert text[0].split() == [
        *("task", "correct", "format", "reward", "differ", "accept", "z", "quota", "got", "gain", "tokens"),
        *("correct,", "step", "by", "step"),
    ]
    first = text[1].split()
    assert first[:11] == [
        "countdown@very_ha…",
        "0.50",
        "0.90",
        "0.59",
        "0.67",
        "0.50",
        "0.70",
        "5.0",
        "4.0",
        "+0.012",
        "23",
    ]
    assert first[11] == "█████▁▁▁▁▁"
    assert "correct: worst countdown@very_hard@raw 0.50, average 0.60; entropy 0.71; gradient norm 0.31" in text[3]
    assert "generation 1.25 s, scoring 0.01 s, update 0.80 s; 2.0 rounds of generation a step" in text[4]
    assert "0.10" in panel([line(0, (0.9, 0.9))] * 90 + lines[5:] * 2, 200)[1]  # older steps are not in the means


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_it_fits_and_leaves_out_the_least_important_first(width):
    text = panel([line(step) for step in range(30)], width)
    assert max(map(len, text)) <= width
    assert all(head in text[0] for head in ("correct", "differ", "z", "got"))
    if width >= 80:
        assert all(head in text[0] for head in ("format", "accept", "quota", "gain", "tokens"))
    assert ("step by step" in text[0]) == (width >= 120)


def test_a_training_that_logs_other_things_is_not_shown_and_does_not_fail():
    assert panel([{"step": 1, "loss": 2.0}], 80) == []
    assert "0.40" in panel([{"tasks": {"a": {"components": {"correct": 0.4}}}}], 80)[1]


def test_a_loss_about_nothing_is_explained_by_what_the_step_was():
    assert "is no fault" in " ".join(explained([line(1)], 80))
    silent = line(1)
    silent["strategy"]["informative"] = 0
    assert "nothing to learn from" in " ".join(explained([silent], 80))
    assert explained([line(1, loss=0.7)], 80) == explained([], 80) == []


def test_a_growing_file_is_read_line_by_line_and_again_when_it_is_written_anew(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = Follow(path)
    assert not log.read()
    with path.open("w") as file:
        file.write('{"step": 1}\n{"st')
        file.flush()
        assert log.read() and log.lines == [{"step": 1}]
        file.write('ep": 2}\n')
    assert log.read() and not log.read()
    assert [one["step"] for one in log.lines] == [1, 2]
    again = tmp_path / "again"
    again.write_text('{"step": 1}\n')
    again.replace(path)
    assert log.read() and log.lines == [{"step": 1}]


@pytest.fixture
def training(tmp_path):
    store = Store(tmp_path)
    job = Job(Ref("tiny-s0", "adapter", "joint", 0, "a" * 16), "adapters", "x", {})
    folder = store.work(job.ref)
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line(step)) + "\n" for step in range(1, 31)))
    return store, job


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_shows_the_tasks_of_a_running_training_until_it_ends(training, width):
    store, job = training
    view = Bars(store, 3)
    view.started(job)
    view.progress(job, "step 30/60: correct zebra 0.6", 0.5)

    def shown(height):
        console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, record=True)
        console.print(view)
        return console.export_text()

    text = shown(30)
    assert "tiny-s0/adapter:joint#0, means of the last 10 steps" in text
    assert "zebra@tiny" in text and "is no fault" in text and "step 30/60" in text and "0/3 jobs" in text
    assert max(map(len, text.splitlines())) <= width
    assert "zebra" not in shown(6) and "step 30/60" in shown(6)  # too low for more than the bars
    view.finished(job)
    assert "zebra" not in shown(30) and "1/3 jobs" in shown(30)


def test_elsewhere_the_loss_is_explained_once(training, capsys, monkeypatch):
    store, job = training
    monkeypatch.setattr("factory.engine.watch.LINE_EVERY_SECONDS", -1.0)
    lines = Lines(store, 3)
    lines.started(job)
    lines.progress(job, "loading rows and base", 0.0)
    for _ in range(3):
        lines.progress(job, "step 30/60: correct zebra@tiny 0.60, loss -0.0012", 0.5)
    said = capsys.readouterr().err
    assert said.count("step 30/60") == 3
    assert said.count("note: a loss about 0 is no fault") == 1
