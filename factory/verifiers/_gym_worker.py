"""Makes reasoning-gym's entries and scores answers with its scorers. Runs inside a killable, sandboxed worker.

Requests: `{"dataset", "config", "seed"}` gives `{"question", "answer"}`; with `"said"` and the `"question"` that the
row was made with, `{"score"}`. Entries are made here and nowhere else: some depend on the order of sets, which is the
same in every worker and differs between processes of ours.
"""

from __future__ import annotations

import copy
import inspect
import re
from functools import lru_cache
from typing import Any

import _gym_door as door  # type: ignore[import-not-found]

_RUNS_TEXT = re.compile(r"\b(eval|exec|parse_expr|sympify)\(")
_WORDS = frozenset(
    ("sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos", "atan", "sinh", "cosh", "tanh", "sqrt", "exp", "log",
     "ln", "pi", "Abs", "True", "False", "and", "or", "not")
)  # fmt: skip


def runs_text(dataset: Any) -> str:
    """With what a scorer runs the answer as code, `eval` or `parse_expr`; "" if it does not."""
    found = _RUNS_TEXT.search(inspect.getsource(type(dataset).score_answer))
    return found[1] if found else ""


def is_harmless(said: str, runner: str) -> bool:
    """Whether text that a scorer runs can do nothing but compute: numbers, one-letter names, well-known functions."""
    if "\\" in said or "__" in said or (runner != "eval" and re.search("[\"'`]", said)):
        return False
    return all(len(word) == 1 or word in _WORDS for word in re.findall(r"[^\W\d]\w*", said))


@lru_cache(maxsize=256)
def _made(name: str, config: str, seed: int) -> tuple[Any, dict[str, Any]]:
    made: tuple[Any, dict[str, Any]] = door.made(name, config, seed)
    return made


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Makes an entry, or scores what was said to one."""
    dataset, entry = _made(request["dataset"], request["config"], request["seed"])
    if "said" not in request:
        return {"question": entry["question"], "answer": entry["answer"]}
    if entry["question"] != request["question"]:
        return {"other": True}
    said, runner = request["said"], runs_text(dataset)
    if runner and said != entry["answer"] and not is_harmless(said, runner):
        return {"score": 0.0, "code": True}
    return {"score": float(dataset.score_answer(said, copy.deepcopy(entry)))}
