"""The one door to reasoning-gym: its entries, its scorers, its zebra puzzles.

The library is imported when first needed. This file imports nothing of ours: the worker that scores completions loads
it inside its sandbox.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from functools import lru_cache
from random import Random
from types import ModuleType
from typing import Any

VERSION = "0.1.25"
"""The version that the extra pins; rows are a function of it."""

_PUZZLES = "reasoning_gym.logic.contrib.logic_puzzle"


def installed() -> bool:
    """Whether the library is there; it is not imported."""
    return importlib.util.find_spec("reasoning_gym") is not None


def made(name: str, config: str, seed: int) -> tuple[Any, dict[str, Any]]:
    """A dataset of one entry, which holds the scorer, and the entry: `question`, `answer`, `metadata`.

    A dataset's own entries come from `Random(seed + index)`, so that neighbouring seeds share all but one; taking only
    the first of each seed, and the seeds from a hash, they share none.

    Args:
        config: the dataset's settings, as JSON.
    """
    from reasoning_gym.factory import create_dataset

    dataset = create_dataset(name, **_tuples(json.loads(config)), seed=seed, size=1)
    return dataset, dataset[0]


def datasets() -> list[str]:
    """The names of all datasets."""
    from reasoning_gym.factory import DATASETS

    return sorted(DATASETS)


def settings_of(name: str) -> dict[str, Any]:
    """What can be set of a dataset, with the defaults; `seed` and `size` are ours to set."""
    from reasoning_gym.factory import DATASETS

    return {key: value for key, value in vars(DATASETS[name][1]()).items() if key not in ("seed", "size")}


def refusal(name: str, config: dict[str, Any]) -> str:
    """Why a dataset does not take these settings; "" if it does."""
    from reasoning_gym.factory import DATASETS

    try:
        DATASETS[name][1](**_tuples(config)).validate()
    except (AssertionError, TypeError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}


def zebra(people: int, seed: int) -> tuple[str, str]:
    """A zebra puzzle with as many characteristics as people: its text with the question, and the name asked for.

    The same text as the dataset's entry of that seed, several times as fast.
    """
    puzzle, drawn = _fast_puzzles().generate_puzzle(Random(seed), people, people)
    return f"{drawn}\n{puzzle['questions'][0]['question']}", puzzle["questions"][0]["answer"]


@lru_cache(maxsize=1)
def _fast_puzzles() -> ModuleType:
    """A copy of the puzzle generator, private to us, which reuses what the library computes again at every step.

    Upstream writes every clue as clauses of strings and numbers them for each of the hundreds of times that it asks
    whether a set of clues has one solution. Here a clue's clauses are made once, and since the solution is known,
    asking for another one is a single call of the solver.
    """
    import pycosat
    from reasoning_gym.logic.contrib.logic_puzzle.clues import Clue

    text = lru_cache(maxsize=1 << 16)(str)
    symbolic = lru_cache(maxsize=1 << 16)(lambda clue: tuple(clue.as_cnf()))

    def in_order(values: Iterable[Any]) -> list[Any]:
        values = list(values)
        return sorted(values, key=text if values and isinstance(values[0], Clue) else None)

    def has_unique_solution(puzzle: Any, clues: Iterable[Any]) -> bool:
        if not hasattr(puzzle, "numbered"):
            puzzle.numbered = _Numbered(puzzle)
        return bool(pycosat.solve(puzzle.numbered.clauses(clues, symbolic)) == "UNSAT")

    found = importlib.util.find_spec(f"{_PUZZLES}.generate")
    assert found is not None and found.loader is not None
    copy: Any = importlib.util.module_from_spec(found)
    found.loader.exec_module(copy)
    copy.sorted, copy.has_unique_solution = in_order, has_unique_solution
    copy.check_correctness = bool  # no puzzle is false; has_unique_solution has asked already
    return copy  # type: ignore[no-any-return]


class _Numbered:
    """A puzzle's clauses in the solver's numbers, with one that rules its known solution out."""

    def __init__(self, puzzle: Any) -> None:
        names = sorted({literal.lstrip("~") for clause in puzzle.constraints for literal in clause})
        self._number = {name: place for place, name in enumerate(names, 1)}
        self._number |= {f"~{name}": -place for name, place in self._number.items()}
        known = tuple(f"~{value} {house}" for value, house in puzzle.solution.items())
        self._always = self._in_numbers([*puzzle.constraints, known])
        self._of_clue: dict[Any, list[tuple[int, ...]]] = {}

    def _in_numbers(self, clauses: Iterable[tuple[str, ...]]) -> list[tuple[int, ...]]:
        return [tuple(self._number[literal] for literal in clause) for clause in clauses]

    def clauses(self, clues: Iterable[Any], symbolic: Any) -> list[tuple[int, ...]]:
        found = list(self._always)
        for clue in clues:
            if clue not in self._of_clue:
                self._of_clue[clue] = self._in_numbers(symbolic(clue))
            found += self._of_clue[clue]
        return found
