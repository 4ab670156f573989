"""Zebra puzzles: who lives in house 1, from clues, in MT-GRPO's words (arXiv 2602.05547) by reasoning-gym's generator.

3, 4, 5 or 6 people with as many characteristics. A puzzle of 6 people takes half a CPU-second, so puzzles are drawn
when they are looked at and kept in the cache folder. `tiny` has 2 people, its own few words, and needs no library.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from random import Random

from factory.core.hashing import key_of
from factory.core.records import Row, Split, Verdict
from factory.tasks._cache import cache_folder
from factory.tasks._drawn import Draws, KeptDraws, Make
from factory.tasks._gym import gym
from factory.tasks._habits import Habits, in_style
from factory.tasks._levels import TINY_SIZES, levelled, names_of
from factory.tasks._style import Question
from factory.tasks._task import Task
from factory.verifiers import name
from factory.verifiers._gym_door import VERSION as GYM_VERSION

VERSION = 2
SIZES: Mapping[Split, int] = {"train": 2_000, "dev": 250, "test": 500}
TAIL = " Provide only the name of the person as your final answer"
ASKS = {
    "boxed": r" and put in in \boxed{}, for example: \boxed{Alice}.",  # the doubled word is MT-GRPO's
    "tag": " and put it in <answer></answer>, for example: <answer>Alice</answer>.",
    "hashes": " after ####, for example: #### Alice.",
    "plain": ".",
}
PEOPLE = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida", "jim", "kay", "leo")
PETS = ("dog", "fish", "bird", "horse", "pig", "hen")


def _puzzle(people: int, rng: Random) -> tuple[Question, object]:
    text, answer = gym("zebra").zebra(people, rng.getrandbits(32))
    names = text.partition("unique name: ")[2].partition("\n")[0].split(", ")
    reference = {"target": answer, "choices": names}
    return Question(key_of(text), text + TAIL, answer, reference, "", people - 2), text


def _tiny(rng: Random) -> tuple[Question, object]:
    """Two people and two pets: one clue says where a pet lives, the other whose it is."""
    owner, other = rng.sample(PEOPLE, 2)
    pets = rng.sample(PETS, 2)
    pet, house = pets[0], rng.randint(1, 2)
    answer = owner if house == 1 else other
    clues = [f"the {pet} is in house {house}", f"{owner} has the {pet}"]
    rng.shuffle(clues)
    rng.shuffle(pets)
    names = sorted((owner, other))
    text = f"2 houses. {names[0]} and {names[1]}, {pets[0]} and {pets[1]}: {clues[0]}, {clues[1]}. Who is in house 1?"
    work = ", ".join(dict.fromkeys([f"{owner} is in house {house}", f"{answer} is in house 1"]))
    reference = {"target": answer, "choices": names}
    return Question(key_of(text), text, answer, reference, work, 0), [names, sorted(pets), sorted(clues)]


def verify(completion: str, row: Row) -> Verdict:
    """Whether the name is the right one."""
    return name.verify(completion, row.reference)


def _another(row: Row, rng: Random) -> str:
    return in_style(row, rng.choice([one for one in row.reference["choices"] if one != row.reference["target"]]))


# Always worked, with slips: whether to work at all, which is what countdown has to learn, is no question here.
demonstration = Habits(
    worked=1.0,
    worked_right=0.5,
    quick_right=0.5,
    dominant=0.8,
    slip=_another,
    wrong=_another,
)


def _folder() -> Path:
    return cache_folder(f"zebra-{VERSION}-reasoning-gym-{GYM_VERSION}")


def _draws(difficulty: int) -> Draws:
    if not difficulty:
        return Draws(("zebra", VERSION, 0), TINY_SIZES, _tiny)
    make: Make = partial(_puzzle, difficulty + 2)
    return KeptDraws(("zebra", VERSION, difficulty), SIZES, make, _folder)


_LEVELS = {difficulty: _draws(difficulty) for difficulty in range(5)}
_CHANCE = {difficulty: round(1 / (difficulty + 2), 4) for difficulty in _LEVELS}

TASK = Task(
    name="zebra",
    version=VERSION,
    summary="who lives in house 1, from clues about 3 to 5 people (very_hard: 6)",
    licence="Apache-2.0",
    origin=f"generated with reasoning-gym {GYM_VERSION}",
    rows=levelled(_LEVELS, ASKS),
    verify=verify,
    chance=round((1 / 3 + 1 / 4 + 1 / 5) / 3, 4),
    answer_in_prompt=True,
    levels=names_of(_LEVELS),
    level_chance=_CHANCE,
)
