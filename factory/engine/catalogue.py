"""The tasks and benchmarks there are: what each is, how many rows it has, and what its rows look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from factory.benchmarks._benchmark import Benchmark, load_benchmark
from factory.core import discover
from factory.core.errors import BadInput, FactoryError
from factory.core.records import Row
from factory.tasks._cache import keep, recorded
from factory.tasks._find import find_task, members_of, source_digest, task_names
from factory.tasks._golds import record_of
from factory.tasks._laws import check
from factory.tasks._on_demand import OnDemand
from factory.tasks._subject import Subject
from factory.tasks._task import Refusal, Source, Task

SAMPLES = 3
LOOKED_AT = 200
NOT_COUNTED = {
    "needs_data": True,
    "problem": "rows come from the Hub or an offline mirror; --data DIR counts the mirror's",
}


def catalogue(source: Source) -> list[dict[str, Any]]:
    """Every task, then every benchmark with a file of its own.

    A task has its licence, origin, chance, levels and rows of each split; or, where they cannot be had, `problem` says
    why. Nothing is downloaded for it, and no gold answer is checked: `unchecked` rows may still be refused.
    """
    return [*map(_task_entry, task_names(), [source] * len(task_names())), *_benchmarks(source)]


def _task_entry(name: str, source: Source) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": "task", "name": name}
    try:
        task = find_task(name)
        entry |= described(task)
        entry["members"] = _members(name, task)
        if source.data is None and not task.generated and not task.local:
            entry |= NOT_COUNTED
        else:
            entry |= _counted(task, source)
    except FactoryError as error:
        entry["problem"] = str(error)
    return entry


def _benchmarks(source: Source) -> list[dict[str, Any]]:
    entries = []
    for name in discover.names("factory.benchmarks"):
        entry: dict[str, Any] = {"kind": "benchmark", "name": name}
        try:
            benchmark = load_benchmark(name)
            about = str(discover.load("factory.benchmarks", name, kind="benchmark").__doc__ or "").partition("\n")[0]
            entry |= {"version": benchmark.version, "summary": benchmark.summary or about, "chance": benchmark.chance}
            entry |= {"licence": benchmark.licence, "origin": benchmark.origin, "metrics": list(benchmark.metrics)}
            entry |= {"few_shot": benchmark.few_shot}
            if source.data is None:
                entry |= NOT_COUNTED
            else:
                entry |= _kept(
                    "rows",
                    f"benchmark {name} {benchmark.version} {discover.source_digest('factory.benchmarks', name)}",
                    benchmark.fingerprint(source),
                    partial(_items, benchmark, source),
                )
        except FactoryError as error:
            entry["problem"] = str(error)
        entries.append(entry)
    return entries


def _items(benchmark: Benchmark, source: Source) -> dict[str, Any]:
    return {"rows": {"test": len(benchmark.items("test", source))}}


def described(task: Task) -> dict[str, Any]:
    """What a task says of itself."""
    plain = {key: getattr(task, key) for key in ("name", "version", "summary", "licence", "origin", "chance")}
    plain |= {"components": list(task.components), "answer_in_prompt": task.answer_in_prompt}
    return plain | {"levels": dict(task.levels), "styles": list(getattr(task.rows, "styles", ()))}


def _counted(task: Task, source: Source) -> dict[str, Any]:
    """`rows` of each split, how many are `refused` (and that they are `unchecked`), and the range of `difficulty`."""
    scale = [min(task.levels.values()), max(task.levels.values())] if task.levels else None

    def count() -> dict[str, Any]:
        if task.counts is None:
            return {"rows": {split: len(task.rows(split, source)) for split in task.splits}, "difficulty": scale}
        found = task.counts(source)
        rows = {key: found[key] for key in (*task.splits, "refused")}
        return {"rows": rows, "difficulty": found.get("difficulty", scale), "unchecked": found.get("unchecked", False)}

    identity = f"task {task.name} {task.version} {source_digest(task.name)}"
    return _kept("rows", identity, task.fingerprint(source), count)


def _members(name: str, task: Task) -> list[str]:
    """The members of a family; a task with rows of its own has none."""
    if task.splits:
        return []
    identity = f"{name} {task.version}"
    return list(_kept("members", identity, task.origin, lambda: {"members": members_of(name)})["members"])


def _kept(key: str, identity: str, fingerprint: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was found of something before, while it is the same; else found now, and kept unless it is `unchecked`."""
    path = record_of("catalogue", identity, fingerprint)
    found = recorded(path, (key,))
    if found is None:
        found = find()
        if not found.get("unchecked"):
            keep(path, found)
    return found


def samples(name: str, source: Source) -> dict[str, Any]:
    """A task's first held-out rows, with the gold completion and its verdict, and the verdict on an empty one.

    Raises:
        UnknownName: no such task.
        BadInput: its rows cannot be had.
    """
    task = find_task(name)
    if not task.splits:
        return {**described(task), "name": name, "members": members_of(name), "rows": {}, "samples": []}
    rows = task.rows(task.splits[-1], source)
    refused = task.refused(source)
    return {
        **described(task),
        "name": name,
        "difficulty": _difficulties(rows),
        "rows": {**{split: len(task.rows(split, source)) for split in task.splits}, "refused": len(refused)},
        "refused": [_refusal(one) for one in refused],
        "samples": [_sample(task, row) for row in rows[:SAMPLES]],
    }


def laws(name: str, source: Source, most: int | None) -> dict[str, Any]:
    """What every law says of a task: `holds`, and each law with its problem.

    Raises:
        UnknownName: no such task.
        BadInput: its rows cannot be had.
    """
    subject = Subject.of(name, source, most)
    found = check(subject)
    return {
        "task": name,
        "holds": not any(finding.problem for finding in found),
        "rows": {split: len(rows) for split, rows in subject.splits.items()},
        "refused": [_refusal(one) for one in subject.task.refused(source)],
        "laws": [{**asdict(finding), "holds": not finding.problem} for finding in found],
    }


def source_of(data: Path | None) -> Source:
    """A source from a folder the user named.

    Raises:
        BadInput: there is no such folder.
    """
    if data is not None and not data.is_dir():
        raise BadInput(f"--data {data}: no such folder; expected the mirror of the datasets (FACTORY_DATA)")
    return Source(data)


def _sample(task: Task, row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "prompt": row.prompt,
        "gold": row.gold,
        "difficulty": row.difficulty,
        "verdict": asdict(task.verify(row.gold, row)),
        "verdict_on_nothing": asdict(task.verify("", row)),
    }


def _refusal(one: Refusal) -> Mapping[str, str]:
    return {"where": one.where, "reason": one.reason}


def _difficulties(rows: Any) -> list[int] | None:
    """The lowest and highest difficulty, of the first rows where they are drawn when looked at; None without any."""
    looked_at = islice(rows, LOOKED_AT if isinstance(rows, OnDemand) else None)
    found = [row.difficulty for row in looked_at if row.difficulty is not None]
    return [min(found), max(found)] if found else None
