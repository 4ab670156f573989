"""MBPP (Austin et al. 2021, arXiv 2108.07732): short Python programs from a sentence, with three worked examples.

Prompt, examples and stop are lm-evaluation-harness's (task mbpp, version 1: items 11 to 510, examples 2, 3 and 4).
Tests run in the sandbox. The harness runs a completion as it stands; here the code of a fenced block counts too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory.benchmarks._benchmark import Benchmark
from factory.benchmarks._harness import GREEDY, HeldOut, first_shots
from factory.core.records import Row, Verdict
from factory.tasks._dataset import Dataset, Part
from factory.tasks._task import Source
from factory.verifiers import python

FIELDS = {"task_id": int, "text": str, "code": str, "test_list": list, "test_setup_code": str}
DATASET = Dataset(
    "mbpp",
    "google-research-datasets/mbpp",
    {
        "test": Part("mbpp/mbpp.jsonl", FIELDS, "test", ("full",)),
        "prompt": Part("mbpp/mbpp.jsonl", FIELDS, "prompt", ("full",)),
    },
)
TEST_IDS, SHOT_IDS = range(11, 511), (2, 3, 4)


def _ask(plain: Mapping[str, Any]) -> str:
    tests = "\n".join(plain["test_list"][:3])
    return (
        f"You are an expert Python programmer, and here is your task: {plain['text']} "
        f"Your code should pass these tests:\n\n{tests}\n[BEGIN]\n"
    )


def _row(plain: Mapping[str, Any]) -> Row:
    reference = {"tests": list(plain["test_list"]), "setup": plain["test_setup_code"], "imports": ()}
    return Row(str(plain["task_id"]), _ask(plain), plain["code"], reference, raw=True, question=plain["text"])


def _test_row(plain: Mapping[str, Any]) -> Row | None:
    return _row(plain) if plain["task_id"] in TEST_IDS else None


def _examples(source: Source) -> list[tuple[str, str]]:
    rows = {plain["task_id"]: plain for plain in DATASET.rows("prompt", source)}
    return [(_ask(rows[number]), f"{rows[number]['code']}\n[DONE]") for number in SHOT_IDS]


def verify(completion: str, row: Row) -> Verdict:
    """Whether the tests pass."""
    return python.verify(completion, row.reference)


BENCHMARK = Benchmark(
    name="mbpp",
    version=1,
    items=HeldOut(DATASET, _test_row),
    verify=verify,
    chance=None,
    fingerprint=DATASET.fingerprint,
    metrics=("pass@1",),
    pinned={**GREEDY, "stop": ["[DONE]"]},
    few_shot=3,
    shots=first_shots(_examples),
    chat=False,
    delimiter="",
    task="mbpp",
    size=500,
    origin=DATASET.hub,
    licence="CC BY 4.0",
    summary="short Python programs from a sentence and three tests",
)
