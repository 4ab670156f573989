"""What a benchmark is: pinned items, how they are asked, how an answer is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from factory.benchmarks._harness_files import is_task_file, read_task_file
from factory.core.discover import load, names
from factory.core.errors import BadInput, UnknownName
from factory.core.hashing import digest, file_digest
from factory.core.records import Row, Share, Split, Verdict
from factory.tasks._find import find_task, stem_of, task_names
from factory.tasks._task import Source, Task

Shots = tuple[tuple[str, str], ...]
Method = Literal["generate", "choices", "lm_eval"]
GENERATE: Method = "generate"
CHOICES: Method = "choices"
LM_EVAL: Method = "lm_eval"
HARNESS_DECODING = {"samples": 0, "greedy": True, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 512, "stop": []}
"""Of a cell that lm-evaluation-harness makes: its tasks say themselves how long answers are and where they end."""


def _no_shots(source: Source, items: int, shots: int) -> Sequence[Shots]:
    del source, shots
    return [()] * items


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: as a study names it.
        version: raised whenever items, prompts or scores would change.
        items: the rows of a split, always in the same order, their ids stable. For `choices` a row's reference holds
            `choices` (texts) and `gold` (the index of the right one).
        verify: (completion, row) -> verdict; for `generate`.
        chance: accuracy of a guesser who knows the format; None where guessing is hopeless.
        fingerprint: content hash of the files it reads, or the Hub's commit; "" for generated items.
        method: completions are generated, choices are compared by log-likelihood, or lm-evaluation-harness does either.
        metrics: what an answer is measured by; the first is the score unless a study says otherwise.
        measures: (completion, row) -> all metrics, where there are more than `verify` gives.
        shares: means of the verdicts' components that are reported beside the score, by name.
        pinned: fields of `Decoding` that are part of the benchmark.
        few_shot: worked examples before each item.
        shots: (source, items, number) -> the worked examples of each item.
        chat: whether prompts stand in the chat template; None where the tokenizer has one.
        delimiter: between a question and its answer, where they are plain text.
        task: the task whose held-out rows these are, by name; "" for none.
        size: how many items its test split has, for estimates before they are read; None where that is not known.
        origin, licence, summary: for the catalogue.
    """

    name: str
    version: int
    items: Callable[[Split, Source], Sequence[Row]]
    verify: Callable[[str, Row], Verdict]
    chance: float | None
    fingerprint: Callable[[Source], str]
    method: Method = GENERATE
    metrics: tuple[str, ...] = ("correct",)
    measures: Callable[[str, Row], Mapping[str, float]] | None = None
    shares: Mapping[str, Share] = field(default_factory=dict)
    pinned: Mapping[str, Any] = field(default_factory=dict)
    few_shot: int = 0
    shots: Callable[[Source, int, int], Sequence[Shots]] = _no_shots
    chat: bool | None = None
    delimiter: str = " "
    task: str = ""
    size: int | None = None
    origin: str = ""
    licence: str = ""
    summary: str = ""

    def decoding(self) -> dict[str, Any]:
        """The fields of `Decoding` that the benchmark sets, over a study's general ones."""
        if self.method == LM_EVAL:
            return {**self.pinned, "chat_template": self.chat}
        return {**self.pinned, "few_shot": self.few_shot, "chat_template": self.chat, "metric": self.metrics[0]}

    def asked(self, split: Split, source: Source, limit: int | None, few_shot: int) -> list[Row]:
        """The first items of a split, each with its worked examples.

        Raises:
            BadInput: the split has none.
        """
        rows = list(self.items(split, source)[:limit])  # before they are made: some are drawn on demand
        if not rows:
            raise BadInput(f"benchmark '{self.name}' has no items in its {split} split; choose another benchmark")
        if not few_shot:
            return rows
        shots = self.shots(source, len(rows), few_shot)
        return [replace(row, shots=mine) for row, mine in zip(rows, shots, strict=True)]

    def check(self, decoding: Mapping[str, Any], where: str) -> None:
        """Refuse a decoding that the benchmark cannot be scored with.

        Raises:
            UnknownName: it has no such metric.
            BadInput: worked examples for a benchmark that has none, samples where nothing is sampled.
        """
        if self.method != GENERATE and (decoding.get("samples") or not decoding.get("greedy", True)):
            raise BadInput(f"{where}benchmark {self.name} draws no samples; leave samples and greedy out for it")
        if self.method == LM_EVAL:
            for key, value in self.pinned.items():
                if decoding.get(key, value) != value:
                    raise BadInput(f"{where}benchmark {self.name}: the harness's task has its own {key}; leave it out")
        if self.method != LM_EVAL and decoding.get("metric") not in (None, *self.metrics):
            raise UnknownName("metric", str(decoding["metric"]), self.metrics, f"{where}benchmark {self.name}")
        if decoding.get("few_shot") and self.shots is _no_shots and self.method != LM_EVAL:
            raise BadInput(f"{where}benchmark {self.name} has no worked examples; take few_shot out")


def of_task(task: Task) -> Benchmark:
    """A task's held-out split as a benchmark."""
    return Benchmark(
        task.name, task.version, task.rows, task.verify, task.chance, task.fingerprint,
        shares=task.shares, task=task.name, origin=task.origin, licence=task.licence, summary=task.summary,
    )  # fmt: skip


def task_benchmark(name: str) -> str:
    """The name under which a task's held-out rows are a benchmark: its own unless a benchmark has it."""
    return f"task:{name}" if name in names("factory.benchmarks") else name


def load_benchmark(name: str, where: str = "") -> Benchmark:
    """A benchmark by name: a file of its own, `lm_eval:TASK`, else the held-out rows of the task of that name.

    `task:NAME` is the task's rows even where a benchmark has the same name.

    Raises:
        UnknownName: none has that name.
        BadInput: an option that the task does not have, or lm-evaluation-harness is wanted and not installed.
    """
    if name.startswith("lm_eval:"):
        return _of_lm_eval(name)
    if name in names("factory.benchmarks"):
        return load("factory.benchmarks", name, kind="benchmark").BENCHMARK  # type: ignore[no-any-return]
    plain = name.removeprefix("task:")
    if stem_of(plain) in task_names():
        return replace(of_task(find_task(plain, where)), name=name)
    raise UnknownName("benchmark", name, [*names("factory.benchmarks"), *task_names()], where)


def _of_lm_eval(name: str) -> Benchmark:
    """A task of lm-evaluation-harness; nothing of it is imported here."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("lm_eval")
    except PackageNotFoundError:
        raise BadInput(
            f"benchmark {name}: lm-evaluation-harness is missing; pip install 'lora-factory[lm-eval]'"
        ) from None
    asked = name.partition(":")[2]

    def items(split: Split, source: Source) -> Sequence[Row]:
        del split, source
        return ()

    def fingerprint(source: Source) -> str:
        del source
        told = f"lm_eval {installed}"
        if is_task_file(asked):
            files = read_task_file(Path(asked)).files
            told += f", files {digest([[file.name, file_digest(file)] for file in files])}"
        return told

    def verify(completion: str, row: Row) -> Verdict:
        raise NotImplementedError(f"{name} is scored by lm-evaluation-harness")

    return Benchmark(
        name, 1, items, verify, None, fingerprint,
        method=LM_EVAL, metrics=("",), pinned=HARNESS_DECODING, chat=False,
        origin="lm-evaluation-harness", summary=f"{asked}, run by lm-evaluation-harness",
    )  # fmt: skip
