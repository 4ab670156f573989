"""What a run says at its end, and what a dry run says instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from factory.benchmarks._benchmark import load_benchmark
from factory.core.recipes import AdapterRecipe
from factory.engine import footprint
from factory.engine.estimate import IMPORTS_SECONDS
from factory.engine.plan import Job
from factory.engine.run import Result, missing
from factory.engine.study import Prepared
from factory.models.shapes import Shape, shape_of


def dry_run_result(prepared: Prepared, only: str | None, force: Sequence[str]) -> dict[str, Any]:
    """Every job: what it makes, whether it is there already, what it is expected to cost."""
    todo = {job.ref for job in missing(prepared.store, prepared.plan, only, force)}
    embedded = prepared.study.base.startswith("embedded")
    shapes = {base.label: shape_of(base) for base in prepared.plan.bases.values()} if not embedded else {}
    jobs = [
        {
            "stage": job.stage,
            "title": job.ref.title,
            "key": job.ref.key,
            "state": "to build" if job.ref in todo else "there",
            "cpu_seconds": round(job.cost, 1) if embedded else None,
            "gpu": _gpu(job, shapes.get(job.ref.base)),
        }
        for job in prepared.plan.jobs
        if job.ref in todo or prepared.store.has(job.ref)
    ]
    cost = sum(job.cost for job in prepared.plan.jobs if job.ref in todo) + (2 * IMPORTS_SECONDS if todo else 0)
    return {
        "study": prepared.study.study,
        "jobs": jobs,
        "to_build": len(todo),
        "missing": dict(prepared.missing),
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
        lines += ["", f"{result['to_build']} jobs to build", *_work(prepared, result["jobs"])]
    if prepared.missing:
        first = next(iter(prepared.missing.values()))
        lines += ["", f"a run needs rows that cannot be had now ({', '.join(prepared.missing)}): {first}"]
    return "\n".join(lines)


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"~{seconds:g} s"


def _gpu(job: Job, shape: Shape | None) -> dict[str, Any] | None:
    """What a job takes of a GPU; None for one that needs none, or on a base whose shape is not known."""
    if shape is None or job.stage not in ("adapters", "matrix"):
        return None
    if job.stage == "adapters":
        return footprint.of_adapter(AdapterRecipe(**job.spec["recipe"]), shape).to_json()
    benchmark = load_benchmark(job.spec["benchmark"])
    how = job.spec["base"]["quantization"]
    return footprint.of_cell(job.spec["decoding"], benchmark.size, benchmark.method, shape, how).to_json()


def _work(prepared: Prepared, jobs: Sequence[dict[str, Any]]) -> list[str]:
    """What the jobs take on a base that is not made here: memory and hours of each, and what was assumed."""
    base = next(iter(prepared.plan.bases.values()))
    lines = [] if base.resolved else [f"the Hub cannot be asked for base {base.path} now; a run will"]
    known = [job for job in jobs if job["gpu"]]
    shape = shape_of(base)
    if shape is None or not known:
        return [*lines, f"the shape of base {base.path} is not known here, so neither are memory and hours"]
    lines += ["", f"{base.path}: {shape.parameters / 1e9:.3g}B parameters", footprint.ASSUMED, ""]
    lines.append(f"{'job':<44}{'GiB':>7}{'hours':>8}  of which")
    rows = [(job["title"].rpartition("/")[2], [job]) for job in known if job["stage"] != "matrix"]
    cells = [job for job in known if job["stage"] == "matrix"]
    rows += [(f"all {len(cells)} cells (memory: the largest)", cells)] if cells else []
    for title, group in rows:
        most = max(group, key=lambda job: job["gpu"]["gib"])["gpu"]
        parts = ", ".join(f"{name} {size:.3g}" for name, size in most["parts_gib"].items())
        hours = sum(job["gpu"]["hours"] for job in group)
        over = f"; more than {footprint.DEVICE_GIB} GB" if most["gib"] > footprint.DEVICE_GIB else ""
        lines.append(f"{title:<44}{most['gib']:>7.1f}{hours:>8.2f}  {parts}{over}")
    total = sum(job["gpu"]["hours"] for job in known if job["state"] == "to build")
    return [*lines, f"{'to build':<44}{'':>7}{total:>8.2f}"]


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
