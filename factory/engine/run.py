"""A study from its file to its report: plan, run what is missing, write down what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.atomic import read_json, write_json
from factory.core.errors import BadInput, UnknownName
from factory.core.hashing import canonical
from factory.core.study import Study
from factory.engine.local import run_jobs
from factory.engine.plan import STAGES, Job, Plan
from factory.engine.watch import watching
from factory.store.store import Store

CARD = "card.json"


@dataclass(frozen=True)
class Result:
    """What a run ends with.

    Attributes:
        built, found: jobs that were run now, and that were finished before.
        stages: cost by stage, over all jobs of the study whenever they ran.
        folder: the study's own folder; None if the run stopped before the matrix.
        table: the matrix as text.
        report: the report's path.
        warnings: what the cards of its jobs warn of.
    """

    built: int
    found: int
    stages: dict[str, dict[str, float]]
    folder: Path | None = None
    table: str = ""
    report: Path | None = None
    warnings: tuple[str, ...] = ()


def missing(store: Store, plan: Plan, only: str | None = None, force: Sequence[str] = ()) -> list[Job]:
    """The jobs that have to be run, up to and including a stage.

    Args:
        only: last stage; None is all of them.
        force: names of adapters, merges or bases to build again, with all that depends on them.

    Raises:
        UnknownName: a stage or a forced name that the study does not have.
        CorruptFile: a finished thing is damaged.
    """
    if only is not None and only not in STAGES:
        raise UnknownName("stage", only, STAGES)
    jobs = [job for job in plan.jobs if only is None or STAGES.index(job.stage) <= STAGES.index(only)]
    again = _forced(jobs, force)
    return [job for job in jobs if job.ref in again or not store.has(job.ref)]


def _forced(jobs: Sequence[Job], names: Sequence[str]) -> set[Any]:
    again = set()
    for name in names:
        hits = {job.ref for job in jobs if name in (job.ref.name, f"{job.ref.kind}:{job.ref.name}")}
        if not hits:
            known = {job.ref.name for job in jobs if job.stage != "matrix"}
            raise UnknownName("name to force", name, known)
        again |= hits
    for job in jobs:  # in an order in which each comes after what it needs
        if again & set(job.needs):
            again.add(job.ref)
    return again


def run_plan(
    store: Store,
    study: Study,
    plan: Plan,
    *,
    workers: int,
    only: str | None = None,
    force: Sequence[str] = (),
    user_root: Path = Path(),
) -> Result:
    """Run what is missing; then the study's card and its report, written only where they change.

    Raises:
        BadInput, WorkFailed: see `run_jobs`.
    """
    from factory.analysis.overview import overview
    from factory.report.build import build_report

    todo = missing(store, plan, only, force)
    for job in todo:
        if store.has(job.ref):
            store.remove(job.ref)
    with watching(store, len(todo)) as watcher:
        run_jobs(store, todo, watcher, workers, user_root)
    jobs = [job for job in plan.jobs if only is None or STAGES.index(job.stage) <= STAGES.index(only)]
    stages = cost_by_stage(store, jobs)
    warnings = tuple(f"{job.ref.title}: {text}" for job in jobs if (text := store.card(job.ref).get("warning")))
    counts = len(todo), len(jobs) - len(todo)
    if only is not None and STAGES.index(only) < STAGES.index("matrix"):
        return Result(*counts, stages, warnings=warnings)
    folder = write_study(store, study, plan, stages)
    table = overview(store, folder).text
    report = build_report(store, folder) if only in (None, "report") else None
    return Result(*counts, stages, folder, table, report, warnings)


def cost_by_stage(store: Store, jobs: Sequence[Job]) -> dict[str, dict[str, float]]:
    """CPU and wall seconds of each stage, read off the cards; the time that killed runs lost is not in them."""
    stages: dict[str, dict[str, float]] = {}
    for job in jobs:
        cost = store.card(job.ref)["cost"]
        stage = stages.setdefault(job.stage, {"jobs": 0, "cpu_seconds": 0.0, "wall_seconds": 0.0, "peak_gib": 0.0})
        stage["jobs"] += 1
        stage["cpu_seconds"] = round(stage["cpu_seconds"] + cost["cpu_seconds"], 2)
        stage["wall_seconds"] = round(stage["wall_seconds"] + cost["wall_seconds"], 2)
        stage["peak_gib"] = max(stage["peak_gib"], cost["peak_gib"])
    return stages


def write_study(store: Store, study: Study, plan: Plan, stages: dict[str, dict[str, float]]) -> Path:
    """Write the study's card, if it says anything new; gives its folder."""
    folder = store.root / "studies" / study.study
    card = {
        "study": study.model_dump(),
        "seeds": study.seeds,
        "bases": {
            str(seed): {"label": base.label, "revision": base.revision, "hash": base.hash}
            for seed, base in plan.bases.items()
        },
        "variants": [
            {"name": title, "seed": seed, "ref": ref.to_json() if ref else None} for seed, title, ref in plan.variants
        ],
        "cells": [ref.to_json() for ref in plan.cells],
        "points": [ref.to_json() for ref in plan.points],
        "gate": plan.gate.to_json() if plan.gate else None,
        "stages": stages,
        "cost": {
            "cpu_seconds": round(sum(stage["cpu_seconds"] for stage in stages.values()), 2),
            "wall_seconds": round(sum(stage["wall_seconds"] for stage in stages.values()), 2),
        },
    }
    path = folder / CARD
    if not path.is_file() or canonical(read_json(path)) != canonical(card):
        write_json(path, card)
    return folder


def default_workers() -> int:
    """One worker a core, two at most: each holds a model and the training libraries."""
    import os

    return min(2, os.cpu_count() or 1)


def check_workers(workers: int) -> None:
    """Refuse a number of workers that is no number of workers.

    Raises:
        BadInput: fewer than one.
    """
    if workers < 1:
        raise BadInput(f"--jobs {workers}: expected 1 or more")
