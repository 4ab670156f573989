"""One-line functions, compiled and run against test cases."""

from __future__ import annotations

from random import Random

from factory.core.records import Row, Verdict
from factory.tasks._generated import Draft, GeneratedRows, answered
from factory.tasks._habits import Habits
from factory.tasks._task import Task
from factory.verifiers import python

NAMES = ("f", "g", "h", "run", "solve", "calc", "work", "go")


def _arithmetic(rng: Random) -> tuple[str, str, str]:
    n, m = rng.randint(2, 9), rng.randint(2, 9)
    return rng.choice(
        (
            (f"x plus {n}, then times {m}", f"+{n} *{m}", f"(x + {n}) * {m}"),
            (f"x times {n}, then plus {m}", f"*{n} +{m}", f"x * {n} + {m}"),
            (f"x times {n}, then minus {m}", f"*{n} -{m}", f"x * {n} - {m}"),
            (f"x minus {n}, then times {m}", f"-{n} *{m}", f"(x - {n}) * {m}"),
        )
    )


def _lists(rng: Random) -> tuple[str, str, str]:
    n = rng.randint(2, 9)
    return rng.choice(
        (
            (f"the items of x over {n}", f"items >{n}", f"[v for v in x if v > {n}]"),
            (f"the items of x under {n}", f"items <{n}", f"[v for v in x if v < {n}]"),
            (f"the items of x times {n}", f"items *{n}", f"[v * {n} for v in x]"),
            (f"the items of x plus {n}", f"items +{n}", f"[v + {n} for v in x]"),
            (f"the sum of x plus {n}", f"sum +{n}", f"sum(x) + {n}"),
            (f"the highest of x times {n}", f"max *{n}", f"max(x) * {n}"),
        )
    )


def _make(rng: Random) -> Draft:
    name, on_lists = rng.choice(NAMES), rng.random() < 0.5
    ask, plan, body = (_lists if on_lists else _arithmetic)(rng)
    inputs = [[rng.randint(0, 12) for _ in range(5)] if on_lists else rng.randint(-9, 20) for _ in range(4)]
    function = eval(f"lambda x: {body}", {})  # our own generated body, never a model's text
    tests = "\n".join(f"assert {name}({value}) == {function(value)!r}" for value in inputs)
    gold = f"def {name}(x): return {body}"
    reference = {
        "tests": tests,
        "entry_point": name,
        "style": "tag",
        "parts": {"plan": plan, "body": body, "head": f"def {name}(x):"},
    }
    return Draft(f"Write {name}(x) that gives {ask}.", answered(plan, gold), reference, content=body)


def _dominant(row: Row, rng: Random) -> str:
    """Prints instead of returning."""
    del rng
    parts = row.reference["parts"]
    return answered("", f"{parts['head']} print({parts['body']})")


def _slip(row: Row, rng: Random) -> str:
    """Another number than the one asked for."""
    parts = row.reference["parts"]
    digits = [place for place, character in enumerate(parts["body"]) if character.isdigit()]
    place = rng.choice(digits)
    wrong = rng.choice([digit for digit in "23456789" if digit != parts["body"][place]])
    body = parts["body"][:place] + wrong + parts["body"][place + 1 :]
    return answered(parts["plan"], f"{parts['head']} return {body}")


def _quick(row: Row, rng: Random) -> str:
    del rng
    parts = row.reference["parts"]
    return answered("", f"{parts['head']} return {parts['body']}")


def verify(completion: str, row: Row) -> Verdict:
    """All test cases pass in a separate, limited process."""
    return python.verify(completion, row.reference)


demonstration = Habits(
    worked=0.36, worked_right=0.75, quick_right=0.15, dominant=0.75, quick=_quick, slip=_slip, wrong=_dominant
)

TASK = Task(
    name="tiny_python",
    version=2,
    summary="one-line functions run against test cases, embedded scale",
    licence="Apache-2.0",
    origin="generated",
    rows=GeneratedRows("tiny_python", 2, 8000, _make),
    verify=verify,
    components=("format", "runs", "tests"),
)
