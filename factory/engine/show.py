"""What a run says at its end, and what a dry run says instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from factory.core.recipes import AdapterRecipe
from factory.engine import estimate
from factory.engine.estimate import IMPORTS_SECONDS
from factory.engine.run import Result, missing
from factory.engine.study import Prepared

GENERATING, TRAINING = 50e12, 200e12
"""Floating point operations a second that a GPU is assumed to do: decoding is bound by memory, training is not."""


def dry_run_result(prepared: Prepared, only: str | None, force: Sequence[str]) -> dict[str, Any]:
    """Every job: what it makes, whether it is there already, what it is expected to cost."""
    todo = {job.ref for job in missing(prepared.store, prepared.plan, only, force)}
    embedded = prepared.study.base.startswith("embedded")
    jobs = [
        {
            "stage": job.stage,
            "title": job.ref.title,
            "key": job.ref.key,
            "state": "to build" if job.ref in todo else "there",
            "cpu_seconds": round(job.cost, 1) if embedded else None,
        }
        for job in prepared.plan.jobs
        if job.ref in todo or prepared.store.has(job.ref)
    ]
    cost = sum(job.cost for job in prepared.plan.jobs if job.ref in todo) + (2 * IMPORTS_SECONDS if todo else 0)
    return {
        "study": prepared.study.study,
        "jobs": jobs,
        "to_build": len(todo),
        "cpu_seconds": round(cost) if embedded else None,
    }


def dry_run_text(prepared: Prepared, only: str | None, force: Sequence[str]) -> str:
    """The same for people; cells are counted, not listed."""
    result = dry_run_result(prepared, only, force)
    lines = [f"study {result['study']}, base {prepared.study.base}, seeds {prepared.study.seeds}", ""]
    lines += [
        f"{job['stage']:<9} {job['title']:<44} {job['state']:<9} {_seconds(job['cpu_seconds'])}".rstrip()
        for job in result["jobs"]
        if job["stage"] != "matrix"
    ]
    cells = [job for job in result["jobs"] if job["stage"] == "matrix"]
    if cells:
        waiting = [job for job in cells if job["state"] == "to build"]
        told = f"{'matrix':<9} {len(cells)} cells, {len(waiting)} to build"
        seconds = [job["cpu_seconds"] for job in waiting]
        lines.append(f"{told:<64} {_seconds(None if None in seconds else sum(seconds))}".rstrip())
    if prepared.study.base.startswith("embedded"):
        lines += ["", f"{result['to_build']} jobs to build, about {result['cpu_seconds']} CPU-seconds"]
    else:
        lines += ["", f"{result['to_build']} jobs to build", *_work(prepared)]
    return "\n".join(lines)


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"~{seconds:g} s"


def _work(prepared: Prepared) -> list[str]:
    """What the adapters cost on a base that is not made here, as work; how long that takes depends on the machine."""
    base = next(iter(prepared.plan.bases.values()))
    lines = [] if base.resolved else [f"the Hub cannot be asked for base {base.path} now; a run will"]
    for job in prepared.plan.jobs:
        if job.stage != "adapters":
            continue
        recipe = AdapterRecipe(**job.spec["recipe"])
        count, length = estimate.generated(recipe) / 1e3, recipe.max_completion_length
        told = f"{count:.1f} thousand completions of at most {length} tokens"
        if base.parameters:
            generate, train = estimate.exaflop(recipe, base.parameters)
            hours = (generate / GENERATING + train / TRAINING) * 1e18 / 3600
            told += (
                f", at most {generate:.3g} EFLOP to generate and {train:.3g} to train ({base.parameters / 1e9:.3g}B "
                f"parameters): {hours:.3g} hours on a GPU that does {GENERATING / 1e12:g} TFLOP/s generating and "
                f"{TRAINING / 1e12:g} training (assumed, not measured)"
            )
        lines.append(f"{job.ref.name}#{job.ref.seed}: {told}")
    return lines


def result_json(prepared: Prepared, result: Result) -> dict[str, Any]:
    """What was built and where it is."""
    return {
        "study": prepared.study.study,
        "built": result.built,
        "found": result.found,
        "stages": result.stages,
        "warnings": list(result.warnings),
        "matrix": str(result.folder / "matrix.json") if result.report and result.folder else None,
        "report": str(result.report) if result.report else None,
    }


def result_text(result: Result) -> str:
    """The matrix, where the time went, and where the report is."""
    lines = [result.table, ""] if result.table else []
    lines.append(f"{'stage':<10}{'jobs':>5}{'CPU s':>9}{'wall s':>9}{'peak GiB':>10}")
    for stage, cost in result.stages.items():
        lines.append(
            f"{stage:<10}{cost['jobs']:>5.0f}{cost['cpu_seconds']:>9.1f}{cost['wall_seconds']:>9.1f}{cost['peak_gib']:>10.2f}"
        )
    total = sum(cost["cpu_seconds"] for cost in result.stages.values())
    lines.append(f"{'total':<10}{result.built + result.found:>5}{total:>9.1f}")
    lines += ["", *(f"warning: {text}" for text in result.warnings)] if result.warnings else []
    lines += ["", f"built {result.built}, found {result.found} finished"]
    if result.report:
        lines.append(f"report: {result.report}")
    return "\n".join(lines)
