"""The contamination gate: which benchmark items stand in what the study's adapters train on.

It runs before any training. By the study's choice such items are left out of every variant's score, or only reported,
or the run is refused. What is compared is the question, without how to answer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from factory.analysis.contaminated import OVERLAPS
from factory.analysis.overlap import Overlap, Seen
from factory.benchmarks._benchmark import Benchmark, load_benchmark
from factory.core.atomic import write_json
from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.core.progress import Report
from factory.core.records import Row
from factory.core.study import Contamination
from factory.store.ref import Ref
from factory.store.store import Store
from factory.tasks._find import find_task
from factory.tasks._on_demand import OnDemand
from factory.tasks._task import Source

VERSION = 1
LISTED = 3


def gate_key(spec: Mapping[str, Any], identities: Sequence[Any]) -> str:
    """What the gate's result depends on: the options, and the identity of every task and benchmark."""
    return key_of("gate", VERSION, {key: value for key, value in spec.items() if key != "data"}, identities)


def build_gate(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Job: compare every benchmark's items with all training rows.

    `spec` holds `training` (task -> rows used at most, None for all), `benchmarks` (name -> items at most),
    `contamination` (a `Contamination`) and `data` (the source).

    Raises:
        BadInput: items overlap, and the study wants the run refused then.
    """
    options = Contamination(**spec["contamination"])
    source = Source.from_json(spec.get("data"))

    def make(out: Path, state: Path) -> dict[str, Any]:
        del state
        seen, names = Seen(options.ngram), spec["training"]
        benchmarks = {name: load_benchmark(name) for name in spec["benchmarks"]}
        for place, (name, most) in enumerate(names.items()):
            report(f"training rows of {name}", place / (len(names) + len(spec["benchmarks"])))
            task = find_task(name)
            rows = task.rows("train", source)
            if isinstance(rows, OnDemand) and all(one.fingerprint(source) == "" for one in benchmarks.values()):
                continue  # drawn apart from held-out rows by their content; drawing all of them may take minutes
            for row in rows[:most]:
                seen.add(text_of(row), exact_only=task.generated)
        found = {}
        for place, (name, most) in enumerate(spec["benchmarks"].items(), len(names)):
            report(f"items of {name}", place / (len(names) + len(spec["benchmarks"])))
            found[name] = _compared(benchmarks[name], most, seen, source, options.share)
        if options.action == "refuse":
            _refuse(found)
        write_json(
            out / OVERLAPS, {name: {"ids": one["ids"], "exact": one["exact_ids"]} for name, one in found.items()}
        )
        counts = {name: {key: one[key] for key in ("items", "exact", "near", "touched")} for name, one in found.items()}
        return {"contamination": spec["contamination"], "training": sorted(names), "metrics": counts, "parents": []}

    return store.build(ref, make)


def text_of(row: Row) -> str:
    """What a row asks."""
    return row.question or row.prompt


def _compared(benchmark: Benchmark, most: int | None, seen: Seen, source: Source, share: float) -> dict[str, Any]:
    """Counts for one benchmark, and the ids of the items that overlap."""
    items = benchmark.items("test", source)[:most]
    overlaps = dict(zip((row.id for row in items), seen.overlaps(map(text_of, items)), strict=True))
    exact = [name for name, one in overlaps.items() if one.exact]
    near = [name for name, one in overlaps.items() if not one.exact and one.share >= share]
    return {
        "items": len(items),
        "exact": len(exact),
        "near": len(near),
        "touched": sum(_is_touched(one) for one in overlaps.values()),
        "ids": [*exact, *near],
        "exact_ids": exact,
        "first": [text_of(row) for row in items if row.id in {*exact, *near}][:LISTED],
    }


def _is_touched(overlap: Overlap) -> bool:
    return overlap.exact or overlap.share > 0


def _refuse(found: Mapping[str, Mapping[str, Any]]) -> None:
    hit = {name: one for name, one in found.items() if one["ids"]}
    if not hit:
        return
    told = ", ".join(f"{len(one['ids'])} of {one['items']} items of {name}" for name, one in hit.items())
    first = next(iter(hit.values()))["first"][0]
    raise BadInput(
        f"contamination: {told} stand in what the adapters train on (the first: {' '.join(first.split())[:80]!r}); "
        "train on other rows, or set contamination.action to exclude or report"
    )
