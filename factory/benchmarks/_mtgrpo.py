"""MT-GRPO's own test rows as benchmarks: its prompts to the byte, no chat template, the answer in the last box.

Pinned as the paper evaluates: the mean over 8 completions at temperature 1, up to 4,096 tokens each. Ours are the first
50 test rows of each difficulty, theirs are 200; and their reading takes the box from the last line only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from factory.benchmarks._benchmark import Benchmark
from factory.core.errors import BadInput
from factory.core.records import Row, Split, Verdict
from factory.tasks._dataset import Dataset
from factory.tasks._mtgrpo import ORIGIN, published
from factory.tasks._task import Source

PINNED = {"samples": 8, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 4096}


def benchmark(
    dataset: Dataset,
    verify: Callable[[str, dict[str, Any]], Verdict],
    answer: Callable[[dict[str, Any]], str],
    chance: float | None,
    summary: str,
) -> Benchmark:
    """The benchmark of a dataset's `test` part.

    Args:
        verify: (completion, ground truth) -> verdict.
        answer: of a ground truth, as it stands in the box.
        chance: accuracy of a guesser who knows the format.
        summary: one line for the catalogue.
    """

    def items(split: Split, source: Source) -> Sequence[Row]:
        if split != "test":
            raise BadInput(f"benchmark {dataset.task} has test rows only, no {split} split")
        where = dataset.place("test", source)
        found = [published(row, f"{where}, row {n}") for n, row in enumerate(dataset.rows("test", source))]
        return [
            Row(
                row.id,
                row.prompt,
                rf"\boxed{{{answer(row.truth)}}}",
                {**row.truth, "style": "boxed"},
                row.difficulty,
                raw=True,
                question=row.question,
            )
            for row in found
        ]

    return Benchmark(
        name=dataset.task,
        version=1,
        items=items,
        verify=lambda completion, row: verify(completion, dict(row.reference)),
        chance=chance,
        fingerprint=dataset.fingerprint,
        pinned=PINNED,
        chat=False,
        origin=ORIGIN,
        licence="MIT",
        summary=summary,
    )


def target(truth: dict[str, Any]) -> str:
    """The answer of rows whose ground truth is the answer."""
    return str(truth["target"])
