"""Every task that exists: gold is right, nothing else is, rows are the same everywhere, splits share nothing."""

import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.core.discover import names
from factory.tasks._find import find_task
from factory.tasks._task import Source

ALL = names("factory.tasks")
SPLITS = ("train", "dev", "test")
DATA = os.environ.get("FACTORY_DATA")
SAMPLE = 200
# The level and the rows of each split that the laws look at, where all would take minutes to draw.
TRIED = {
    "zebra": ("zebra@easy", 60),
    "reasoning_gym": ("reasoning_gym:chain_sum", 60),
    **{name: (name, 300) for name in ("countdown", "arc_1d", "novel_ops", "linear_equations")},
}
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")

# One guess out of about twenty small numbers is right by chance; a query or a function is not.
SHUFFLED_LIMIT = {"number": 0.10, "text": 0.03}
# The most any fixed place in the prompt may hold the right number by coincidence (`7 - 3 + 3`).
COPIED_LIMIT = 0.15
# The most formulas, among answers most of which are numbers, that may stand in their prompts (MATH: 1.4 %).
FORMULA_LIMIT = 0.02


@lru_cache(maxsize=16)
def task_of(name):
    full_name, most = TRIED.get(name, (name, None))
    task = find_task(full_name)
    if not task.generated and DATA is None:
        pytest.skip(f"task {name} reads files and FACTORY_DATA is not set")
    source = Source(None if task.generated else Path(DATA))
    return task, {split: list(task.rows(split, source)[:most]) for split in task.splits}


def spread(rows, count=SAMPLE):
    """Rows from the whole split, not only from its start."""
    return rows[:: max(1, len(rows) // count)][:count]


def answer_of(row):
    """The answer alone: what stands in its envelope, after `####`, or the whole gold completion."""
    text = row.gold
    if "<answer>" in text:
        return text.partition("<answer>")[2].partition("</answer>")[0].strip()
    if "\\boxed{" in text:
        return text.rpartition("\\boxed{")[2].removesuffix("}")
    return text.rpartition("####")[2].strip()


def kind_of(rows):
    return "number" if all(NUMBER.fullmatch(answer_of(row)) for row in rows) else "text"


@pytest.mark.parametrize("name", ALL)
def test_gold_scores_one(name):
    task, splits = task_of(name)
    for split in task.splits:
        for row in spread(splits[split], SAMPLE if split == task.splits[-1] else 40):
            verdict = task.verify(row.gold, row)
            assert (verdict.score, verdict.correct) == (1.0, True), (split, row, verdict)
            assert tuple(sorted(verdict.components)) == tuple(sorted(task.components))
            assert set(verdict.components.values()) == {1.0}


@pytest.mark.parametrize("name", ALL)
def test_another_rows_answer_is_rarely_accepted_and_silence_never(name):
    task, splits = task_of(name)
    rows = spread(splits[task.splits[-1]])
    shuffled = rows[len(rows) // 2 :] + rows[: len(rows) // 2]
    accepted = sum(bool(task.verify(other.gold, row).correct) for row, other in zip(rows, shuffled, strict=True))
    chance = task.chance or 0.0
    by_chance = chance + 4 * (chance * (1 - chance) / len(rows)) ** 0.5
    assert accepted / len(rows) <= max(SHUFFLED_LIMIT[kind_of(rows)], by_chance)
    for row in rows[:40]:
        for silence in ("", " \n\t", "<answer></answer>", "####", "```\n```"):
            verdict = task.verify(silence, row)
            assert (verdict.score, verdict.correct) == (0.0, False), (silence, verdict)


HOSTILE = {
    "empty": "",
    "huge": "x" * 1_000_000,
    "huge digits": "<answer>" + "9" * 200_000 + "</answer>",
    "huge hashes": "#### " + "9" * 200_000,
    "binary": bytes(range(256)).decode("latin-1") * 20,
    "NUL": "\x00" * 1000,
    "lone surrogate": "<answer>\ud800</answer> #### \udfff",
    "open round": "(" * 100_000,
    "open square": "SELECT " + "[" * 100_000,
    "open curly": r"\boxed{" * 20_000,
    "open quote": "SELECT " + "'" * 99_999,
    "open tags": "<answer>" * 20_000,
    "open fences": "```\n" * 20_000,
    "open reasoning": "<think>" * 20_000,
    "deep expression": "<answer>" + "-(" * 5_000 + "1" + ")" * 5_000 + "</answer>",
    "deep code": "<answer>def f(x): return " + "(" * 500 + "x" + ")" * 500 + "</answer>",
    "comment never closed": "<answer>/* SELECT 1</answer>",
    "right to left": "<answer>\u202e1\u202c</answer>",
}


@pytest.mark.parametrize("shape", HOSTILE)
@pytest.mark.parametrize("name", ALL)
def test_hostile_text_scores_zero_soon_and_raises_nothing(name, shape):
    task, splits = task_of(name)
    verdict = task.verify(HOSTILE[shape], splits[task.splits[-1]][0])
    assert (verdict.score, verdict.correct) == (0.0, False), verdict
    assert verdict.seconds < 3


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=200), wrap=st.sampled_from(("{}", "<answer>{}</answer>", "#### {}", "```\n{}\n```")))
def test_any_text_gets_a_verdict(name, text, wrap):
    task, splits = task_of(name)
    verdict = task.verify(wrap.replace("{}", text), splits[task.splits[-1]][0])
    assert verdict.score in (0.0, 1.0)
    assert verdict.correct is (verdict.score == 1.0)


IDS = """
import json, sys
from pathlib import Path
from factory.core.hashing import key_of
from factory.tasks._find import find_task
from factory.tasks._task import Source
found = {}
for name, full_name, most in json.loads(sys.argv[2]):
    task = find_task(full_name)
    source = Source(None if task.generated else Path(sys.argv[1]))
    rows = {split: task.rows(split, source)[:most] for split in task.splits}
    found[name] = {split: key_of([row.id for row in rows[split]]) for split in rows}
print(json.dumps(found))
"""


def test_two_processes_have_the_same_rows():
    wanted = [name for name in ALL if DATA is not None or find_task(name).generated]
    tried = json.dumps([(name, *TRIED.get(name, (name, None))) for name in wanted])
    found = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", IDS, DATA or ".", tried],
            capture_output=True,
            text=True,
            check=True,
            timeout=200,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert set(found[0]) == set(wanted)


@pytest.mark.parametrize("name", ALL)
def test_ids_are_unique_and_splits_share_no_prompt(name):
    _, splits = task_of(name)
    everything = [row for rows in splits.values() for row in rows]
    assert all(splits.values())
    assert len({row.id for row in everything}) == len(everything)
    prompts = {split: {" ".join(row.prompt.split()).lower() for row in rows} for split, rows in splits.items()}
    for one, other in combinations(prompts.values(), 2):
        assert not one & other


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("tiny_")])
def test_a_rephrased_training_row_is_not_held_out(name):
    """What a generated row is about, its worked steps, its query, its function's body, is in one split only."""
    _, splits = task_of(name)

    def about(row):
        parts = row.reference["parts"]
        return parts.get("body") or row.gold

    contents = {split: {about(row) for row in splits[split]} for split in SPLITS}
    assert not contents["train"] & (contents["dev"] | contents["test"])
    assert not contents["dev"] & contents["test"]


@pytest.mark.parametrize("name", ALL)
def test_the_prompt_does_not_give_the_answer_away(name):
    """A text answer never stands in its prompt; a number may by coincidence, so no fixed place may hold it often."""
    task, splits = task_of(name)
    rows = splits[task.splits[-1]]
    if task.answer_in_prompt:
        assert task.chance is not None, "an answer that stands in the prompt needs a declared chance level"
        return
    texts = [row for row in rows if not NUMBER.fullmatch(answer_of(row))]
    given = [row.id for row in texts if " ".join(answer_of(row).split()) in " ".join(row.prompt.split())]
    # A formula (`x`, `(0, 1)`) may stand in its prompt by coincidence where other rows' answers are numbers.
    assert len(given) <= (0 if len(texts) == len(rows) else FORMULA_LIMIT * len(texts)), given[:5]
    if len(texts) == len(rows):
        return
    numbers = [(NUMBER.findall(row.prompt), answer_of(row)) for row in rows if NUMBER.fullmatch(answer_of(row))]
    most = max(len(found) for found, _ in numbers)
    for place in range(-most, most):
        hits = sum(-len(found) <= place < len(found) and found[place] == answer for found, answer in numbers)
        assert hits / len(numbers) <= COPIED_LIMIT, f"number {place} of the prompt answers {hits} of {len(numbers)}"
