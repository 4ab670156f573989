"""What a run says at its end, and what a dry run says instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from factory.engine.estimate import IMPORTS_SECONDS
from factory.engine.run import Result, missing
from factory.engine.study import Prepared


def dry_run_result(prepared: Prepared, only: str | None, force: Sequence[str]) -> dict[str, Any]:
    """Every job: what it makes, whether it is there already, what it is expected to cost."""
    todo = {job.ref for job in missing(prepared.store, prepared.plan, only, force)}
    jobs = [
        {
            "stage": job.stage,
            "title": job.ref.title,
            "key": job.ref.key,
            "state": "to build" if job.ref in todo else "there",
            "cpu_seconds": round(job.cost, 1),
        }
        for job in prepared.plan.jobs
        if job.ref in todo or prepared.store.has(job.ref)
    ]
    cost = sum(job.cost for job in prepared.plan.jobs if job.ref in todo) + (2 * IMPORTS_SECONDS if todo else 0)
    return {"study": prepared.study.study, "jobs": jobs, "to_build": len(todo), "cpu_seconds": round(cost)}


def dry_run_text(prepared: Prepared, only: str | None, force: Sequence[str]) -> str:
    """The same for people; cells are counted, not listed."""
    result = dry_run_result(prepared, only, force)
    lines = [f"study {result['study']}, base {prepared.study.base}, seeds {prepared.study.seeds}", ""]
    lines += [
        f"{job['stage']:<9} {job['title']:<44} {job['state']:<9} ~{job['cpu_seconds']:g} s"
        for job in result["jobs"]
        if job["stage"] != "matrix"
    ]
    cells = [job for job in result["jobs"] if job["stage"] == "matrix"]
    if cells:
        waiting = [job for job in cells if job["state"] == "to build"]
        seconds = sum(job["cpu_seconds"] for job in waiting)
        lines.append(f"{'matrix':<9} {len(cells)} cells, {len(waiting)} to build{'':<23} ~{seconds:g} s")
    scale = "" if prepared.study.base.startswith("embedded") else " on the embedded base; this one costs far more"
    lines += ["", f"{result['to_build']} jobs to build, about {result['cpu_seconds']} CPU-seconds{scale}"]
    return "\n".join(lines)


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
