"""Any dataset of reasoning-gym: `reasoning_gym:chain_sum`, with its settings behind `@`, `@min_terms=3`.

Its words, its scorer. Rows are drawn from hashed seeds in a sandboxed worker and kept in the cache folder. `@rows=N`
asks for another number of training rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Any

from factory.core.errors import BadInput, UnknownName
from factory.core.hashing import key_of
from factory.core.records import Row, Split, Verdict
from factory.tasks._cache import cache_folder
from factory.tasks._drawn import Draws, KeptDraws
from factory.tasks._gym import gym
from factory.tasks._style import STYLES, Question, Worded
from factory.tasks._task import Source, Task
from factory.verifiers._gym_door import VERSION as GYM_VERSION

VERSION = 1
EXAMPLE = "reasoning_gym:chain_sum"
ROWS = 2_000
FAMILY = "reasoning_gym"
NO_GOLD = ("boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour")
"""Have a scorer and no answers, so nothing shows that a row can be solved."""
_ASKS = {name: f"\n\n{style.ask.strip()}".rstrip() for name, style in STYLES.items()}
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def members() -> list[str]:
    """The datasets that are tasks.

    Raises:
        BadInput: reasoning-gym is not installed.
    """
    return [name for name in gym(FAMILY).datasets() if name not in (*NO_GOLD, "composite")]


def task(member: str, settings: Mapping[str, str]) -> Task:
    """A dataset as a task.

    Raises:
        UnknownName: no such dataset or setting; the nearest is suggested.
        BadInput: a setting's value is not of its kind; the dataset has no answers; reasoning-gym is not installed.
    """
    if not member:
        return _family()
    door, name = gym(f"{FAMILY}:{member}"), f"{FAMILY}:{member}"
    if member in NO_GOLD:
        raise BadInput(f"task '{name}': this dataset has no answers of its own, so its rows cannot be verified")
    if member not in members():
        raise UnknownName("reasoning_gym dataset", member, members())
    known = door.settings_of(member)
    config = {}
    for key, text in settings.items():
        if key != "rows" and key not in known:
            raise UnknownName(f"setting of task {name}", key, ["rows", *known])
        config[key] = _value(f"task '{name}': {key}", text, known.get(key, ROWS))
    rows = config.pop("rows", ROWS)
    if rows < 1:
        raise BadInput(f"task '{name}': rows={rows}; expected at least 1")
    if reason := door.refusal(member, config):
        raise BadInput(f"task '{name}': the dataset does not take these settings: {reason}")
    return Task(
        name=name,
        version=VERSION,
        summary=f"reasoning-gym's {member}",
        licence="Apache-2.0",
        origin=f"generated with reasoning-gym {GYM_VERSION}",
        rows=Worded(_draws(member, json.dumps(config, sort_keys=True), rows), "tag", asks=_ASKS),
        verify=verify,
        answer_in_prompt=True,
        chance=0.0,
    )


def verify(completion: str, row: Row) -> Verdict:
    """Whether the dataset's scorer gives a whole point."""
    from factory.verifiers import reasoning_gym

    return reasoning_gym.verify(completion, row.reference)


def _value(where: str, text: str, default: Any) -> Any:
    """A setting's text as a value of its default's kind; lists and the like are given as JSON."""
    try:
        if isinstance(default, bool):
            return (*_TRUE, *_FALSE).index(text.lower()) < len(_TRUE)
        if isinstance(default, str):
            return text
        value = json.loads(text)
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) if _is_number(default) else True
        if not fits or (isinstance(default, int) and not isinstance(value, int)):
            raise ValueError
        if isinstance(default, (list, tuple)) and not isinstance(value, list):
            raise ValueError
    except ValueError as error:
        raise BadInput(f"{where}={text!r} is not of the kind of its default, {json.dumps(default)}") from error
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@lru_cache(maxsize=32)
def _draws(member: str, config: str, rows: int) -> Draws:
    # Prefixes of one another: the number of rows is no part of the seeds.
    sizes: dict[Split, int] = {"train": rows, "dev": max(1, rows // 10), "test": max(1, rows // 5)}
    parts = (FAMILY, member, VERSION, key_of(config))
    return KeptDraws(parts, sizes, partial(_drawn, member, config), _folder, wasted=500)


def _folder() -> Path:
    return cache_folder(f"reasoning-gym-{VERSION}-{GYM_VERSION}")


def _drawn(member: str, config: str, rng: Random) -> tuple[Question, object]:
    from factory.verifiers import reasoning_gym

    seed = rng.getrandbits(32)
    made = reasoning_gym.entry(member, config, seed)
    text, answer = made["question"].rstrip(), made["answer"]
    if not isinstance(answer, str):
        raise BadInput(f"task '{FAMILY}:{member}': the row of seed {seed} has no answer, so it cannot be verified")
    reference = {"dataset": member, "config": config, "seed": seed, "question": made["question"], "answer": answer}
    return Question(key_of(text), text, answer, reference), text


def _family() -> Task:
    """The family by its bare name: something to list, and nothing to train on."""

    def rows(split: Split, source: Source) -> Sequence[Row]:
        del split, source
        raise BadInput(f"{FAMILY} is a family: name a dataset, such as {EXAMPLE}; it has {len(members())} of them")

    return Task(
        name=FAMILY,
        version=VERSION,
        summary=f"any dataset of reasoning-gym, such as {EXAMPLE}",
        licence="Apache-2.0",
        origin=f"generated with reasoning-gym {GYM_VERSION}",
        rows=rows,
        verify=verify,
        splits=(),
    )
