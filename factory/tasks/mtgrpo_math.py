"""The MATH rows that MT-GRPO's authors trained on (arXiv 2602.05547): here to be caught, and to repeat their runs.

Of the 5,000 problems of MATH's test split 4,000 are among them, none of MATH-500's. So there is no test split: score on
`math500`, and let the contamination gate say what it leaves out.
"""

from __future__ import annotations

from typing import Any

from factory.core.hashing import unit_from
from factory.core.records import Split
from factory.tasks._checked import Checked, checked_task
from factory.tasks._dataset import Dataset, Part, of_datasets
from factory.tasks._style import STYLES, Question
from factory.tasks._task import Source, Task
from factory.tasks.math import ASKS, DEV_SHARE, LEVELS, question, verify

VERSION = 1
SPLITS: tuple[Split, ...] = ("train", "dev")
DATASET = Dataset(
    "mtgrpo_math", "", {"train": Part("mtgrpo/math_train.parquet", {"reward_model": dict, "extra_info": dict})}
)


def _question(plain: dict[str, Any], part: str, source: Source) -> tuple[Question, Split]:
    del part, source
    extra = plain["extra_info"]
    made = question(extra["question"], plain["reward_model"]["ground_truth"], "", extra["difficulty"])
    return made, "dev" if unit_from("math dev", made.text) < DEV_SHARE else "train"


def _made(dataset: Dataset) -> Task:
    questions = Checked(VERSION, dataset, _question, verify, "boxed", splits=SPLITS)
    return checked_task(
        questions,
        {**ASKS, "boxed": " Put your final answer within \\boxed{}."},
        tuple(STYLES),
        summary="MT-GRPO's MATH rows; CONTAMINATED: they hold 4,000 of the 5,000 problems of MATH's test split",
        licence="MIT",
        origin="github.com/rsshyam/MT-GRPO, offline mirror",
        levels=LEVELS,
    )


task = of_datasets(DATASET, make=_made)
