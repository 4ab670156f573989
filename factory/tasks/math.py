"""MATH: competition problems in seven subjects and five levels (Hendrycks et al. 2021, arXiv 2103.03874).

The mirror's training rows have answers and no solutions, the Hub's have both.
"""

from __future__ import annotations

import re
from typing import Any

from factory.core.hashing import key_of, unit_from
from factory.core.records import Row, Split, Verdict
from factory.tasks._checked import Checked, Unusable, checked_task
from factory.tasks._dataset import Dataset, Part, of_datasets
from factory.tasks._rows import Fields
from factory.tasks._style import Question
from factory.tasks._task import Source, Task
from factory.verifiers import math
from factory.verifiers._extract import last_boxed

VERSION = 1
SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)
SOLVED: Fields = {"problem": str, "level": str, "type": str, "solution": str}
ANSWERED: Fields = {"problem": str, "difficulty": float, "type": str, "answer": (str, type(None))}
DATASET = Dataset(
    "math",
    "EleutherAI/hendrycks_math",
    {
        "test": Part("math/math_test.jsonl.gz", SOLVED, "test", SUBJECTS),
        "train": Part("math/math_train_7474.json.gz", ANSWERED, "train", SUBJECTS, SOLVED),
    },
)
ASKS = {
    "boxed": "\n\nThink step by step and put the final answer in \\boxed{}.",
    "hashes": "\n\nThink step by step and give the final answer after ####.",
    "tag": "\n\nThink step by step and give the final answer as <answer>ANSWER</answer>.",
}
LEVELS = {f"level{level}": level for level in range(1, 6)}
DEV_SHARE = 0.05


def question(text: str, answer: str | None, work: str, difficulty: int | None) -> Question:
    """A problem whose answer is a formula.

    Raises:
        Unusable: it has no answer.
    """
    if not (answer or "").strip():
        raise Unusable("it has no answer")
    text = text.strip()
    return Question(key_of("math", " ".join(text.split())), text, str(answer), {"answer": answer}, work, difficulty)


def _question(plain: dict[str, Any], part: str, source: Source) -> tuple[Question, Split]:
    """Upstream's test split; the training rows less a development slice chosen by content."""
    del source
    if "solution" in plain:
        # The solution's own box is not the answer's mark in another style: it stands in the work without it.
        answer, work = last_boxed(plain["solution"]), plain["solution"]
        digits = re.findall(r"\d", plain["level"])  # one training row upstream is of "Level ?"
        made = question(plain["problem"], answer, work, int(digits[0]) if digits else None)
    else:
        made = question(plain["problem"], plain["answer"], "", int(plain["difficulty"]) or None)
    dev = unit_from("math dev", made.text) < DEV_SHARE
    return made, "test" if part == "test" else "dev" if dev else "train"


def verify(completion: str, row: Row) -> Verdict:
    """Equality of formulas."""
    return math.verify(completion, row.reference)


def _made(dataset: Dataset) -> Task:
    questions = Checked(VERSION, dataset, _question, verify, "boxed")
    return checked_task(
        questions,
        ASKS,
        summary="competition problems of seven subjects and five levels",
        licence="MIT",
        origin=dataset.hub,
        levels=LEVELS,
    )


task = of_datasets(DATASET, make=_made)
