"""MT-GRPO's own test rows as benchmarks: its prompts to the byte, no chat template, the answer in the last box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from factory.benchmarks._benchmark import Benchmark
from factory.core.errors import BadInput
from factory.core.records import Row, Split, Verdict
from factory.tasks._dataset import Dataset
from factory.tasks._mtgrpo import published
from factory.tasks._task import Source


def benchmark(
    dataset: Dataset,
    verify: Callable[[str, dict[str, Any]], Verdict],
    answer: Callable[[dict[str, Any]], str],
    chance: float | None,
) -> Benchmark:
    """The benchmark of a dataset's `test` part.

    Args:
        verify: (completion, ground truth) -> verdict.
        answer: of a ground truth, as it stands in the box.
        chance: accuracy of a guesser who knows the format.
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
    )


def target(truth: dict[str, Any]) -> str:
    """The answer of rows whose ground truth is the answer."""
    return str(truth["target"])
