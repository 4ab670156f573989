"""GSM8K as lm-evaluation-harness has it (task gsm8k, version 3): five worked examples, exact match of the number.

`strict-match` takes what follows the first `####`, `flexible-extract` the last number of the completion. The task of
the same name asks in one of our prompt styles and compares exactly; score it as `task:gsm8k`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from factory.benchmarks._benchmark import Benchmark
from factory.benchmarks._harness import GREEDY, HeldOut, drawn_shots, extracted
from factory.core.hashing import key_of
from factory.core.records import Row, Verdict
from factory.tasks._task import Source
from factory.tasks.gsm8k import DATASET

STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
IGNORED = tuple(re.compile(pattern) for pattern in (",", r"\$", r"(?s).*#### ", r"\.$"))


def _plain(text: str) -> str:
    """What the harness compares: without commas, dollars, what stands before the marker, and a last full stop."""
    for pattern in IGNORED:
        text = pattern.sub("", text)
    return text.lower()


def measures(completion: str, row: Row) -> Mapping[str, float]:
    """Both of the harness's metrics, 1 or 0."""
    gold = _plain(row.gold)
    found = {"strict-match": extracted(STRICT, completion), "flexible-extract": extracted(FLEXIBLE, completion, -1)}
    return {name: float(_plain(answer) == gold) for name, answer in found.items()}


def verify(completion: str, row: Row) -> Verdict:
    """Strict match."""
    answer = extracted(STRICT, completion)
    return Verdict.of(bool(measures(completion, row)["strict-match"]), f"extracted {answer[:40]!r}")


def _row(plain: Mapping[str, Any]) -> Row:
    question = plain["question"]
    return Row(key_of(question), _ask(question), plain["answer"], {}, raw=True, question=question)


def _ask(question: str) -> str:
    return f"Question: {question}\nAnswer:"


def _examples(source: Source) -> list[tuple[str, str]]:
    return [(_ask(row["question"]), row["answer"]) for row in DATASET.rows("train", source)]


BENCHMARK = Benchmark(
    name="gsm8k",
    version=1,
    items=HeldOut(DATASET, _row),
    verify=verify,
    chance=None,
    fingerprint=DATASET.fingerprint,
    metrics=("strict-match", "flexible-extract"),
    measures=measures,
    pinned={**GREEDY, "stop": ["Question:", "</s>", "<|im_end|>"]},
    few_shot=5,
    shots=drawn_shots(_examples),
    chat=False,
    task="gsm8k",
    size=1319,
    origin=DATASET.hub,
    licence="MIT",
    summary="grade-school word problems, five examples, as lm-evaluation-harness asks them",
)
