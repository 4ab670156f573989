"""MATH's 5,000 test problems as lm-evaluation-harness has them (its seven hendrycks_math tasks, version 1, as one).

`exact_match` compares texts as the authors do; `verified` is our own verifier's judgement of the same completion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory.benchmarks import _math_text
from factory.benchmarks._benchmark import Benchmark
from factory.benchmarks._harness import GREEDY, HeldOut
from factory.core.hashing import key_of
from factory.core.records import Row, Verdict
from factory.tasks.math import DATASET
from factory.verifiers import math as verifier

METRICS = ("exact_match", "verified")
PINNED = {**GREEDY, "stop": ["Problem:"]}


def row_of(plain: Mapping[str, Any]) -> Row:
    """An item of a problem with a worked solution."""
    problem, gold = plain["problem"], _math_text.gold_of(plain["solution"])
    prompt = f"Problem: {problem}\nAnswer:"
    return Row(key_of(problem), prompt, gold, {"answer": gold, "style": "boxed"}, raw=True, question=problem)


def measures(completion: str, row: Row) -> Mapping[str, float]:
    """Both metrics, 1 or 0; `verified` is left out where the verifier failed."""
    match = {"exact_match": float(_math_text.same(_math_text.between_dollars(completion), row.gold))}
    verdict = verifier.verify(completion, row.reference)
    return match if verdict.correct is None else {**match, "verified": float(verdict.correct)}


def verify(completion: str, row: Row) -> Verdict:
    """Exact match."""
    answer = _math_text.between_dollars(completion)
    return Verdict.of(_math_text.same(answer, row.gold), f"extracted {answer[:40]!r}")


BENCHMARK = Benchmark(
    name="math",
    version=1,
    items=HeldOut(DATASET, row_of),
    verify=verify,
    chance=None,
    fingerprint=DATASET.fingerprint,
    metrics=METRICS,
    measures=measures,
    pinned=PINNED,
    chat=False,
    task="math",
    size=5000,
    origin=DATASET.hub,
    licence="MIT",
    summary="competition problems in seven subjects, no examples, as lm-evaluation-harness asks them",
)
