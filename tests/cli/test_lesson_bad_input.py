"""Mistakes about teachers and demonstrations through the command line: one line, exit code 2, nothing left behind."""

import json

import pytest

SMALL = ["max_steps=2", "prompts_per_step=2", "max_completion_length=8", "lora.r=2"]
TEACHERS = "strategy_options.teachers={tiny_math: %s, tiny_sql: %s, tiny_python: %s}"
PLANNED = {
    "a task without a teacher": (["strategy=distil", "strategy_options.teachers={tiny_sql: x}"],
                                 "no teacher for tiny_math, tiny_python"),
    "a teacher of a task that is not trained": (
        ["strategy=distil", "strategy_options.teachers={tiny_mth: x}"], "did you mean 'tiny_math'?"),
    "no teachers": (["strategy=distil"], "teachers"),
    "a teacher that is nowhere": (["strategy=distil", TEACHERS % ("mth", "mth", "mth")],
                                  "teacher 'mth' is no adapter of this plan"),
    "its own teacher": (["strategy=distil", TEACHERS % (("multitask",) * 3)], "one another's teachers"),
    "a folder that is not there": (["strategy=distil", TEACHERS % (("./none",) * 3)], "none"),
    "a divergence that is none": (["strategy=distil", TEACHERS % (("x",) * 3), "strategy_options.divergence=2"],
                                  "divergence"),
    "a batch that does not divide": (
        ["strategy=sft", "per_device_train_batch_size=8"], "8 does not divide prompts_per_step 12"),
    "a file that is not there": (["strategy=sft", "strategy_options.demonstrations=none.jsonl"], "no file none.jsonl"),
    "nothing to sample": (["strategy=rejection", "strategy_options.prompts=0"], "prompts"),
}  # fmt: skip


def settings(*pairs):
    return [part for one in pairs for part in ("--set", one)]


@pytest.mark.parametrize("name", PLANNED)
def test_a_mistake_is_told_at_planning(factory, tmp_path, name):
    changes, expected = PLANNED[name]
    code, out, err = factory("train", "multitask", *settings(*changes))
    assert expected in err
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], "1 of 1 demonstrations fail verification: mine.jsonl, line 1 ("),
        (["trl.no_such_option=1"], "the trainer refuses the recipe: "),
    ],
)
def test_a_mistake_that_only_the_training_can_see(factory, pico_base, tmp_path, more, expected):
    from factory.tasks._find import find_task
    from factory.tasks._task import Source

    row = find_task("tiny_math").rows("train", Source())[0]
    wanted = row.gold if more else "never this"
    (tmp_path / "mine.jsonl").write_text(json.dumps({"id": row.id, "completion": wanted}) + "\n")
    changes = settings("strategy=sft", "strategy_options.demonstrations=mine.jsonl", *SMALL, *more)
    code, out, err = factory("train", "math", "--base", pico_base, "--jobs", 1, *changes)
    last = err.strip().splitlines()[-1]
    assert (code, out) == (2, "")
    assert expected in last
    assert not list(tmp_path.glob("store/*/adapters/*"))
