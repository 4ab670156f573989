"""ARC-Challenge (Clark et al. 2018, arXiv 1803.05457) as lm-evaluation-harness has it (task arc_challenge, version 1).

No examples; the answers' texts are compared by log-likelihood, `acc_norm` divided by their length in characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory.benchmarks._benchmark import CHOICES, Benchmark
from factory.benchmarks._harness import GREEDY, HeldOut, by_likelihood, drawn_shots
from factory.core.errors import BadInput
from factory.core.records import Row
from factory.tasks._dataset import Dataset, Part
from factory.tasks._task import Source

FIELDS = {"id": str, "question": str, "choices": dict, "answerKey": str}
DATASET = Dataset(
    "arc_challenge",
    "allenai/ai2_arc",
    {
        "test": Part("arc_challenge/arc_challenge_test_hf.jsonl", FIELDS, "test", ("ARC-Challenge",)),
        "train": Part("arc_challenge/arc_challenge_train_hf.jsonl", FIELDS, "train", ("ARC-Challenge",)),
    },
)


def _row(plain: Mapping[str, Any]) -> Row:
    choices, labels = list(plain["choices"]["text"]), list(plain["choices"]["label"])
    if plain["answerKey"] not in labels:
        raise BadInput(f"arc_challenge, item {plain['id']}: its answer {plain['answerKey']!r} is none of {labels}")
    gold = labels.index(plain["answerKey"])
    prompt = f"Question: {plain['question']}\nAnswer:"
    reference = {"choices": choices, "gold": gold}
    return Row(plain["id"], prompt, choices[gold], reference, raw=True, question=plain["question"])


def _examples(source: Source) -> list[tuple[str, str]]:
    return [(row.prompt, row.gold) for row in map(_row, DATASET.rows("train", source))]


BENCHMARK = Benchmark(
    name="arc_challenge",
    version=1,
    items=HeldOut(DATASET, _row),
    verify=by_likelihood,
    chance=0.25,
    fingerprint=DATASET.fingerprint,
    method=CHOICES,
    metrics=("acc_norm", "acc"),
    pinned=GREEDY,
    shots=drawn_shots(_examples),
    chat=False,
    size=1172,
    origin=DATASET.hub,
    licence="CC BY-SA 4.0",
    summary="grade-school science questions, the harder ones; four answers",
)
