"""A merge asked for on the command line whose weights are searched first: the same two jobs as a study's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from factory.analysis import search as merge_search
from factory.core.config import parse
from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.core.study import Decoding, WeightSearch
from factory.engine.catalogue import source_of
from factory.engine.plan import Job, task_identity
from factory.engine.single import GENERAL
from factory.engine.watch import watching
from factory.merging.contract import load_method
from factory.merging.inputs import trained_tasks
from factory.merging.plan import Plan
from factory.store.ref import Ref
from factory.store.store import Store
from factory.tasks._find import find_task


def search_and_merge(
    store: Store, plan: Plan, tasks: Sequence[str], options: dict[str, Any], data: Path | None
) -> dict[str, Any]:
    """Choose weights on development rows, then merge; gives the merge's card and its folder.

    Args:
        plan: as `plan_merge` gave it.
        tasks: whose development rows; empty for those that the adapters' cards name.
        options: fields of `WeightSearch`.
        data: the mirror of the datasets.

    Raises:
        BadInput: no task is known, or the base is not a model that can be run here.
    """
    folders = [Path(item["folder"]) for item in plan.spec["inputs"] if item["folder"]]
    names = list(tasks) or trained_tasks(folders)
    if not names:
        raise BadInput("--search: the adapters do not say what they were trained on; name tasks with --on")
    if not plan.spec["base"]["path"]:
        raise BadInput("--search runs the base with each merge and the adapters do not name one; give --base")
    search = parse(WeightSearch, options, "--search").model_dump()
    source = source_of(data)
    found = {name: find_task(name, "--on").name for name in names}
    decoding = {name: parse(Decoding, GENERAL, "--search").model_dump() for name in found}
    identities = {name: task_identity(name, source) for name in found}
    versions = {method: load_method(method, "--methods").CONTRACT.version for method in search["methods"]}
    key = key_of("search", merge_search.VERSION, plan.ref.key, search, decoding, identities, versions)
    spec = {**plan.spec, "search": search, "tasks": list(found), "decoding": decoding, "data": source.to_json()}
    chooser = Ref(plan.ref.base, "search", plan.ref.name, plan.ref.seed, key)
    merged = Ref(plan.ref.base, "merge", plan.ref.name, plan.ref.seed, key_of(plan.ref.key, "search", key))
    jobs = [
        (Job(chooser, "merges", "factory.analysis.search:build_search", spec), merge_search.build_search),
        (
            Job(merged, "merges", "factory.analysis.search:build_merge", {**plan.spec, "search": chooser.to_json()}),
            merge_search.build_merge,
        ),
    ]
    with watching(store, len(jobs)) as watcher:
        for job, build in jobs:
            watcher.started(job)
            build(store, job.ref, job.spec, partial(watcher.progress, job))
            watcher.finished(job)
    return {"folder": str(store.path(merged)), **store.card(merged)}
