"""Completions to imitate: a task's gold answers, or a file's, each judged by the task's verifier before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.atomic import read_jsonl
from factory.core.errors import BadInput
from factory.rewards import Pool, Scorer
from factory.training.draws import drawn
from factory.training.lesson import Work
from factory.training.queues import Queues

FEW = 3


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A completion of a row of a task.

    Attributes:
        where: what to call it in a message.
    """

    task: str
    row: int
    text: str
    where: str


def gold_answers(pools: Mapping[str, Pool], *, bare: bool = False) -> list[Demonstration]:
    """The rows' own answers, or their last lines alone; rows without one are left out.

    Raises:
        BadInput: a task has none.
    """
    found = []
    for task, pool in pools.items():
        own = [
            Demonstration(task, place, row.gold.splitlines()[-1] if bare else row.gold, f"task {task}, row {row.id}")
            for place, row in enumerate(pool.rows)
            if row.gold
        ]
        if not own:
            raise BadInput(f"task {task} has no gold answers to imitate; name a file of demonstrations")
        found += own
    return found


def from_file(path: Path, pools: Mapping[str, Pool]) -> list[Demonstration]:
    """Demonstrations of a JSONL file: `{"completion", "id" or "prompt", "task"?}`, a row of a task each.

    Raises:
        BadInput: no such file, a line that names no training row, or a task without a line.
    """
    if not path.is_file():
        raise BadInput(f"demonstrations: no file {path}; expected JSONL with 'completion' and 'id' or 'prompt'")
    places = {
        (key, str(value)): (task, place)
        for task, pool in pools.items()
        for place, row in enumerate(pool.rows)
        for key, value in (("id", row.id), ("prompt", row.prompt))
    }
    found = []
    for number, line in enumerate(read_jsonl(path), 1):
        where = f"{path}, line {number}"
        if not isinstance(line, dict) or not isinstance(line.get("completion"), str):
            raise BadInput(f'{where}: no demonstration; expected {{"id" or "prompt": ..., "completion": "..."}}')
        keys = [(key, str(line[key])) for key in ("id", "prompt") if key in line]
        task, place = next((places[key] for key in keys if key in places), ("", -1))
        if place < 0 or line.get("task", task) != task:
            named = ", ".join(f"{key} {value[:60]!r}" for key, value in keys)
            told = f"{named} is no training row of {', '.join(pools)}" if named else "has neither 'id' nor 'prompt'"
            raise BadInput(f"{where}: {told}")
        found.append(Demonstration(task, place, line["completion"], where))
    missing = [task for task in pools if not any(one.task == task for one in found)]
    if missing:
        raise BadInput(f"{path}: no demonstration of task {missing[0]}")
    return found


def verified(
    demonstrations: Sequence[Demonstration], scorer: Scorer, *, drop: bool
) -> tuple[list[Demonstration], dict[str, int]]:
    """Those that the tasks' verifiers accept, and how many of each task they do not.

    Args:
        drop: leave the others out instead of refusing them.

    Raises:
        BadInput: some are not accepted and `drop` is off, or none of a task's is.
    """
    good: list[Demonstration] = []
    bad: dict[str, list[str]] = {}
    for one in demonstrations:
        (verdict,) = scorer.verdicts(one.task, one.row, [one.text])
        if verdict.correct:
            good.append(one)
        else:
            bad.setdefault(one.task, []).append(f"{one.where} ({verdict.reason})")
    said = [text for texts in bad.values() for text in texts]
    if said and not drop:
        more = f", and {len(said) - FEW} more" if len(said) > FEW else ""
        raise BadInput(
            f"{len(said)} of {len(demonstrations)} demonstrations fail verification: {'; '.join(said[:FEW])}{more}; "
            "mend them, or set drop_unverified"
        )
    for task in bad:
        if not any(one.task == task for one in good):
            raise BadInput(f"task {task}: none of its demonstrations passes verification: {bad[task][0]}")
    return good, {task: len(texts) for task, texts in bad.items()}


def steps_of(work: Work, demonstrations: Sequence[Demonstration]) -> list[list[Demonstration]]:
    """The demonstrations of every step, as the strategy draws them, each task's in a shuffled order."""
    by_task = {task: [one for one in demonstrations if one.task == task] for task in work.pools}
    rows = {task: [work.pools[task].rows[one.row] for one in own] for task, own in by_task.items()}
    queues = Queues(rows, work.seed)
    return [
        [
            by_task[task][place]
            for task, place in drawn(work.strategy, queues, step, work.recipe.prompts_per_step, work.seed)
        ]
        for step in range(work.recipe.max_steps)
    ]


def sequence_of(work: Work, one: Demonstration, limit: int) -> dict[str, list[int]]:
    """A demonstration as the trainer reads it: prompt, completion and end; only the last two are learned.

    Raises:
        BadInput: it is longer than the base reads.
    """
    prompt = work.tokens(work.pools[one.task].rows[one.row])
    completion = list(work.tokenizer(one.text, add_special_tokens=False, verbose=False)["input_ids"])
    completion.append(work.tokenizer.eos_token_id)
    if len(prompt) + len(completion) > limit:
        raise BadInput(
            f"{one.where}: prompt and demonstration have {len(prompt) + len(completion)} tokens, the base reads {limit}"
        )
    return {"input_ids": prompt + completion, "labels": [-100] * len(prompt) + completion}


def used(steps: Sequence[Sequence[Demonstration]]) -> dict[str, int]:
    """Different rows of each task in the steps."""
    rows: dict[str, set[int]] = {}
    for step in steps:
        for one in step:
            rows.setdefault(one.task, set()).add(one.row)
    return {task: len(own) for task, own in rows.items()}


def task_entry(count: int, trained_tokens: int, completions: int = 0) -> dict[str, Any]:
    """The metrics file's words for a task whose sequences are not scored."""
    return {
        "prompts": count,
        "kept": count,
        "completions": completions,
        "reward": None,
        "components": {},
        "zero_variance": None,
        "length": round(trained_tokens / count, 6),
        "unscorable": 0,
        "trained_tokens": trained_tokens,
    }
