"""GSM8K: grade-school word problems (Cobbe et al. 2021, arXiv 2110.14168), answered after `####`."""

from __future__ import annotations

import re
from typing import Any

from factory.core.hashing import key_of, unit_from
from factory.core.records import Row, Split, Verdict
from factory.tasks._checked import Checked, Unusable, checked_task
from factory.tasks._dataset import Dataset, Part, of_datasets
from factory.tasks._style import Question
from factory.tasks._task import Source, Task
from factory.verifiers import numeric

VERSION = 2
FIELDS = {"question": str, "answer": str}
DATASET = Dataset(
    "gsm8k",
    "openai/gsm8k",
    {
        "test": Part("gsm8k/test.jsonl", FIELDS, "test", ("main",)),
        "train": Part("gsm8k/train.jsonl.gz", FIELDS, "train", ("main",)),
    },
)
ASKS = {
    "hashes": "\n\nSolve it step by step and give the answer as a number after ####.",
    "boxed": "\n\nSolve it step by step and put the final number in \\boxed{}.",
    "tag": "\n\nSolve it step by step and give the answer as <answer>NUMBER</answer>.",
}
DEV_SHARE = 0.05
_CALCULATOR = re.compile(r"<<[^>]*>>")


def _question(plain: dict[str, Any], part: str, source: Source) -> tuple[Question, Split]:
    """Upstream's test split; upstream's train split less a development slice chosen by content."""
    del source
    work, hashes, answer = plain["answer"].rpartition("####")
    text, answer = plain["question"].strip(), answer.strip()
    if not hashes or not answer:
        raise Unusable("the answer has no '#### number'; the file is not GSM8K's")
    split: Split = "test" if part == "test" else "dev" if unit_from("gsm8k dev", text) < DEV_SHARE else "train"
    steps = len(_CALCULATOR.findall(work))
    work = _CALCULATOR.sub("", work).strip()
    return Question(key_of("gsm8k", text), text, answer, {"answer": answer}, work, steps), split


def verify(completion: str, row: Row) -> Verdict:
    """Numeric equality of the marked answer."""
    return numeric.verify(completion, row.reference)


def _made(dataset: Dataset) -> Task:
    questions = Checked(VERSION, dataset, _question, verify, "hashes")
    return checked_task(
        questions,
        ASKS,
        summary="grade-school word problems; difficulty is the number of worked steps",
        licence="MIT",
        origin=dataset.hub,
    )


task = of_datasets(DATASET, make=_made)
