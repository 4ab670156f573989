"""Grids of one dimension: find the rule in three examples and apply it, in MT-GRPO's words (arXiv 2602.05547).

10, 20, 30 or 40 cells and 70 rules, from reasoning-gym's `arc_1d`. `tiny` has 4 cells, two examples, words and
rules of its own (paint what is there, fill what is empty), and needs no library.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from factory.core.hashing import key_of
from factory.core.records import Row, Verdict
from factory.tasks._gym import gym
from factory.tasks._habits import Habits, in_style
from factory.tasks._levels import drawn, levelled, names_of
from factory.tasks._style import Question
from factory.tasks._task import Task
from factory.verifiers import grid
from factory.verifiers._gym_door import VERSION as GYM_VERSION

VERSION = 2
UPSTREAM = " Your final answer should be just the test output grid itself."
ASKS = {
    "boxed": r" Your final answer must be placed in \boxed{} and should be just the test output grid itself.",
    "tag": " Your final answer must be placed in <answer></answer> and should be just the test output grid itself.",
    "hashes": " Your final answer must be placed after #### and should be just the test output grid itself.",
    "plain": UPSTREAM,
}

Cells = list[int]


def _paint(color: int, cells: Cells) -> Cells:
    return [color if cell else 0 for cell in cells]


def _fill(color: int, cells: Cells) -> Cells:
    return [cell or color for cell in cells]


RULES: dict[str, Callable[[Cells], Cells]] = {
    f"{name} {color}": partial(rule, color)
    for name, rule in (("paint", _paint), ("fill", _fill))
    for color in range(1, 10)
}
"""Of the tiny level."""


def _spaced(cells: Cells) -> str:
    return " ".join(map(str, cells))


def _grid(difficulty: int, rng: Random) -> tuple[Question, object]:
    cells = 10 * difficulty
    _, made = gym("arc_1d").made("arc_1d", f'{{"min_size": {cells}, "max_size": {cells}}}', rng.getrandbits(32))
    text, found, tail = made["question"].partition(UPSTREAM)
    assert found, "the wording of reasoning-gym's arc_1d has changed"
    shown = tail.rpartition("\n")[2]
    reference = {"target": made["answer"], "input": shown, "rule": made["metadata"]["task_name"]}
    return Question(key_of(text, tail), text, made["answer"], reference, "", difficulty, tail), [text, tail]


def _tiny(rng: Random) -> tuple[Question, object]:
    """Two examples and a question that all rules which fit the examples answer alike."""
    while True:
        rule = RULES[rng.choice(sorted(RULES))]
        color = rng.randint(1, 9)
        cells = [
            [color if rng.random() < 0.5 else rng.choice((0, 0, rng.randint(1, 9))) for _ in "1234"] for _ in "123"
        ]
        results = [rule(one) for one in cells]
        fitting = [name for name, one in RULES.items() if [one(cells[0]), one(cells[1])] == results[:2]]
        if cells[2] != results[2] and all(RULES[name](cells[2]) == results[2] for name in fitting):
            break
    shown, results_shown = [_spaced(one) for one in cells], [_spaced(one) for one in results]
    examples = [f"{left} > {right}" for left, right in zip(shown[:2], results_shown[:2], strict=True)]
    text = f"{', '.join(examples)}. What is {shown[2]} > ?"
    reference = {"target": results_shown[2], "input": shown[2], "rule": fitting[0]}
    return Question(key_of(text), text, results_shown[2], reference, fitting[0], 0), [sorted(examples), shown[2]]


def verify(completion: str, row: Row) -> Verdict:
    """Whether all cells are right."""
    return grid.verify(completion, row.reference)


def _one_cell_off(row: Row, rng: Random) -> str:
    cells = row.reference["target"].split()
    place = rng.randrange(len(cells))
    cells[place] = str((int(cells[place]) + rng.randint(1, 9)) % 10)
    return row.gold.rpartition("\n")[0] + "\n" + in_style(row, " ".join(cells))


def _repeats(row: Row, rng: Random) -> str:
    del rng
    return in_style(row, row.reference["input"])


# Always worked, as in zebra.
demonstration = Habits(
    worked=1.0,
    worked_right=0.4,
    quick_right=0.4,
    dominant=0.8,
    slip=_one_cell_off,
    wrong=_repeats,
)

_LEVELS = drawn("arc_1d", VERSION, _grid, tiny=_tiny)

# Above tiny, of one who repeats the input; measured over 600 rows each.
_CHANCE = {0: 1 / len(RULES), 1: 0.07, 2: 0.03, 3: 0.02, 4: 0.015}

TASK = Task(
    name="arc_1d",
    version=VERSION,
    summary="a rule for rows of 10 to 30 cells (very_hard: 40), from three examples",
    licence="Apache-2.0",
    origin=f"generated with reasoning-gym {GYM_VERSION}",
    rows=levelled(_LEVELS, ASKS),
    verify=verify,
    components=("format", "cells"),
    chance=0.04,
    answer_in_prompt=True,
    levels=names_of(_LEVELS),
    level_chance=_CHANCE,
)
