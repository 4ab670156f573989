"""MBPP: short Python functions from a sentence (Austin et al. 2021, arXiv 2108.07732), judged by hidden asserts.

`mbpp` has all 974 rows, `mbpp:sanitized` the 427 that its authors looked through by hand. Splits are upstream's: ids 11
to 510 are the test, 511 to 600 validation, 601 to 974 training; 1 to 10 are prompts, and are left to benchmarks. The
prompt shows the first assert, for the name and the arguments; the others stay hidden, so that answering them from a
table does not pay.
"""

from __future__ import annotations

from typing import Any

from factory.core.hashing import key_of
from factory.core.records import Row, Split, Verdict
from factory.tasks._checked import Checked, Unusable, checked_task
from factory.tasks._dataset import Dataset, Part, of_datasets
from factory.tasks._style import Question
from factory.tasks._task import Source, Task
from factory.verifiers import python

VERSION = 1
SLOW_SECONDS = {123: 20.0}
"""Limits of rows whose reference code is slow, by id: 7 s on a slow machine."""

FULL = {"task_id": int, "text": str, "code": str, "test_list": list, "test_setup_code": str}
SANITIZED = {"task_id": int, "prompt": str, "code": str, "test_list": list, "test_imports": list}
HUB, HUB_SPLITS = "google-research-datasets/mbpp", "train+test+validation+prompt"
ALL = Dataset("mbpp", HUB, {"all": Part("mbpp/mbpp.jsonl", FULL, HUB_SPLITS, ("full",))})
BY_HAND = {"all": Part("mbpp/sanitized-mbpp.json", SANITIZED, HUB_SPLITS, ("sanitized",))}
ASKS = {
    "plain": "\n\nAnswer with the Python code alone.",
    "tag": "\n\nGive the Python code as <answer>CODE</answer>.",
}
LAST_PROMPT, LAST_TEST, LAST_VALIDATION = 10, 510, 600


def _question(plain: dict[str, Any], part: str, source: Source) -> tuple[Question, Split] | None:
    del part, source
    number, tests = plain["task_id"], plain["test_list"]
    if number <= LAST_PROMPT:
        return None
    if not tests:
        raise Unusable("it has no tests")
    sentence = (plain["text"] if "text" in plain else plain["prompt"]).strip()
    setup, imports = plain.get("test_setup_code") or "", plain.get("test_imports") or []
    reference = {"tests": tests, "setup": setup, "imports": imports}
    if number in SLOW_SECONDS:
        reference["seconds"] = SLOW_SECONDS[number]
    text = f"{sentence}\nThe code should pass tests such as this one:\n{tests[0].strip()}"
    split: Split = "test" if number <= LAST_TEST else "dev" if number <= LAST_VALIDATION else "train"
    code = plain["code"].replace("\r\n", "\n").strip("\n")
    return Question(f"mbpp-{number}-{key_of(text)[:6]}", text, code, reference), split


def verify(completion: str, row: Row) -> Verdict:
    """Whether the code passes all asserts of the row."""
    return python.verify(completion, row.reference)


def _made(dataset: Dataset) -> Task:
    questions = Checked(VERSION, dataset, _question, verify, "plain")
    return checked_task(
        questions,
        ASKS,
        summary=f"short Python functions, {dataset.member or 'all'} rows; judged by hidden asserts",
        licence="CC BY 4.0",
        origin=dataset.hub,
        components=("format", "runs", "tests"),
    )


task = of_datasets(ALL, Dataset("mbpp", HUB, BY_HAND, member="sanitized"), make=_made)
