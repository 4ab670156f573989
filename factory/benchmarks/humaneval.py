r"""HumanEval (Chen et al. 2021, arXiv 2107.03374): functions completed from their docstrings, tests run in the sandbox.

Prompt and stops are lm-evaluation-harness's (task humaneval, version 1); its scorer runs model code unprotected, ours
does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory.benchmarks._benchmark import Benchmark
from factory.benchmarks._harness import GREEDY, HeldOut
from factory.core.records import Row, Verdict
from factory.tasks._dataset import Dataset, Part
from factory.verifiers import python

FIELDS = {"task_id": str, "prompt": str, "test": str, "entry_point": str, "canonical_solution": str}
DATASET = Dataset(
    "humaneval", "openai/openai_humaneval",
    {"test": Part("humaneval/HumanEval.jsonl.gz", FIELDS, "test", ("openai_humaneval",))},
)  # fmt: skip


def _row(plain: Mapping[str, Any]) -> Row:
    reference = {"check": plain["test"], "entry_point": plain["entry_point"], "prompt": plain["prompt"]}
    return Row(plain["task_id"], plain["prompt"], plain["canonical_solution"], reference, raw=True)


def verify(completion: str, row: Row) -> Verdict:
    """Whether the tests pass."""
    return python.verify(completion, row.reference)


BENCHMARK = Benchmark(
    name="humaneval",
    version=1,
    items=HeldOut(DATASET, _row),
    verify=verify,
    chance=None,
    fingerprint=DATASET.fingerprint,
    metrics=("pass@1",),
    pinned={**GREEDY, "max_new_tokens": 1024, "stop": ["\nclass", "\ndef", "\n#", "\nif", "\nprint"]},
    chat=False,
    size=164,
    origin=DATASET.hub,
    licence="MIT",
    summary="Python functions from their docstrings",
)
