"""Countdown as MT-GRPO published it: 30,000 training rows of three difficulties, and the first 200 of the test rows.

The rows have targets and no solutions: those are found by search, when a row is looked at. All rows of the published
files have one. Training rows that come twice, or are also test rows, are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from factory.core.errors import BadInput
from factory.core.hashing import key_of, unit_from
from factory.core.records import Split
from factory.tasks import countdown
from factory.tasks._countdown_solver import solved
from factory.tasks._mtgrpo import ORIGIN, Published, files, published
from factory.tasks._on_demand import OnDemand
from factory.tasks._style import Question, Worded
from factory.tasks._task import Refusal, Source, Task

VERSION = 1
DATASET = files("mtgrpo_countdown", test="countdown_test", train="countdown_train")
DEV_SHARE = 0.05
ASK = countdown.ASKS["boxed"]

Loaded = tuple[dict[Split, list[Published]], list[Refusal]]


def rows_of(part: str, source: Source) -> list[Published]:
    """The published rows of a file."""
    where = DATASET.place(part, source)
    return [published(row, f"{where}, row {n}") for n, row in enumerate(DATASET.rows(part, source))]


@lru_cache(maxsize=2)
def _loaded(source: Source, fingerprint: str) -> Loaded:
    del fingerprint  # the files may change under one name
    splits: dict[Split, list[Published]] = {"train": [], "dev": [], "test": []}
    refused, seen = [], dict[tuple[object, ...], str]()
    for part in DATASET.parts:
        where = DATASET.place(part, source)
        for number, row in enumerate(rows_of(part, source)):
            place = f"{where}, row {number}"
            if "numbers" not in row.truth:
                raise BadInput(f"{place}: no 'numbers' in reward_model.ground_truth; the file is not MT-GRPO's")
            content = (*sorted(row.truth["numbers"].split(",")), row.truth["target"])
            if content in seen:
                refused.append(Refusal(place, f"the same numbers and target as {seen[content]}"))
                continue
            seen[content] = place
            held_out: Split = "dev" if unit_from("mtgrpo dev", *content) < DEV_SHARE else "train"
            splits["test" if part == "test" else held_out].append(row)
    return splits, refused


def _of(source: Source) -> Loaded:
    return _loaded(source, DATASET.fingerprint(source))


@lru_cache(maxsize=40_000)
def solution(numbers: str, target: int) -> str:
    """An expression for a row.

    Raises:
        BadInput: there is none.
    """
    found = solved([int(number) for number in numbers.split(",")], target)
    if found is None:
        raise BadInput(f"{DATASET.task}: no expression of {numbers} comes to {target}; the file is not MT-GRPO's")
    return found[1:-1] if found.startswith("(") else found


def _question(row: Published) -> Question:
    answer = solution(row.truth["numbers"], row.truth["target"])
    text = row.question.removesuffix(ASK)
    return Question(key_of(text), text, answer, row.truth, "", row.difficulty)


def questions(difficulty: int | None, split: Split, source: Source) -> Sequence[Question]:
    """The questions of a split, or those of one difficulty; the answer is looked for when one is looked at."""
    rows = [row for row in _of(source)[0][split] if difficulty in (None, row.difficulty)]
    return OnDemand(len(rows), lambda place: _question(rows[place]))


def counts(source: Source) -> dict[str, int]:
    """Rows of each split, and the refused ones."""
    splits, refused = _of(source)
    return {**{split: len(rows) for split, rows in splits.items()}, "refused": len(refused)}


def _worded(difficulty: int | None, levels: Mapping[int, Worded]) -> Worded:
    return Worded(partial(questions, difficulty), "boxed", asks=countdown.ASKS, levels=levels)


LEVELS = {"easy": 1, "medium": 2, "hard": 3, "very_hard": 4}

TASK = Task(
    name="mtgrpo_countdown",
    version=VERSION,
    summary="countdown, the rows that MT-GRPO published; `@raw` has its prompts to the byte",
    licence="MIT",
    origin=ORIGIN,
    rows=_worded(None, {difficulty: _worded(difficulty, {}) for difficulty in LEVELS.values()}),
    verify=countdown.verify,
    components=("format", "numbers"),
    fingerprint=DATASET.fingerprint,
    levels=LEVELS,
    refused=lambda source: _of(source)[1],
    counts=counts,
)
