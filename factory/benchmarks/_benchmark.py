"""What a benchmark is: pinned items, how they are asked, how an answer is scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from factory.core.discover import load, names
from factory.core.errors import UnknownName
from factory.core.records import Row, Split, Verdict
from factory.tasks._find import find_task, stem_of, task_names
from factory.tasks._task import Source, Task


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: as a study names it.
        version: raised whenever items, prompts or verdicts would change.
        items: the rows of a split, always in the same order, their ids stable.
        verify: (completion, row) -> verdict.
        chance: accuracy of a guesser who knows the format; None where guessing is hopeless.
        fingerprint: content hash of the files it reads; "" for generated items.
    """

    name: str
    version: int
    items: Callable[[Split, Source], Sequence[Row]]
    verify: Callable[[str, Row], Verdict]
    chance: float | None
    fingerprint: Callable[[Source], str]


def of_task(task: Task) -> Benchmark:
    """A task's held-out split as a benchmark."""
    return Benchmark(task.name, task.version, task.rows, task.verify, task.chance, task.fingerprint)


def load_benchmark(name: str, where: str = "") -> Benchmark:
    """A benchmark by name: a file of its own, else the task of that name.

    Raises:
        UnknownName: neither has that name.
    """
    if name in names("factory.benchmarks"):
        return load("factory.benchmarks", name, kind="benchmark").BENCHMARK  # type: ignore[no-any-return]
    if stem_of(name) in task_names():
        return of_task(find_task(name, where))
    raise UnknownName("benchmark", name, [*names("factory.benchmarks"), *task_names()], where)
