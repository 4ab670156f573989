"""The weight of a merge, chosen on development rows: never on the items that are reported."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from factory.benchmarks._benchmark import of_task
from factory.core.atomic import read_json, write_json
from factory.core.hashing import seed_from
from factory.core.progress import Report
from factory.store.ref import Ref
from factory.store.store import Store
from factory.tasks._find import find_task
from factory.tasks._task import Source

VERSION = 1
CHOICE = "choice.json"


def build_search(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Job: try each candidate as the common weight of all inputs; the best one by its worst task wins.

    `spec` is a merge's (see `factory.merging.build`) with `search` (a `WeightSearch`), `tasks`, `decoding` by task and
    `data`. Every candidate sees the same development rows under the same sampling seed.
    """

    def make(out: Path, state: Path) -> dict[str, Any]:
        trials = []
        candidates = spec["search"]["candidates"]
        for place, weight in enumerate(candidates):
            report(f"weight {weight:g}", place / len(candidates))
            trials.append({"weight": weight, "scores": _try(spec, weight, state)})
        # The worst task first, then the mean: a merge is to keep every task, not to win one.
        best = max(trials, key=lambda trial: (min(trial["scores"].values()), sum(trial["scores"].values())))
        write_json(out / CHOICE, {"weight": best["weight"], "trials": trials})
        return {
            "recipe": {key: spec[key] for key in ("recipe", "search", "tasks", "rank")},
            "parents": [item["key"] for item in spec["inputs"]],
            "seed": spec["seed"],
            "split": "dev",
            "chosen": best["weight"],
            "trials": trials,
        }

    return store.build(ref, make)


def build_merge(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Job: merge, with the weight that a finished search chose where there was one."""
    from factory.merging.build import merge_into

    def make(out: Path, state: Path) -> dict[str, Any]:
        del state
        if spec.get("search") is None:
            return merge_into(out, spec, report)
        choice = read_json(store.open(Ref(**spec["search"])) / CHOICE)
        weights = [choice["weight"]] * len(spec["inputs"])
        fields = merge_into(out, {**spec, "weights": weights}, report)
        return {**fields, "search": {"key": spec["search"]["key"], **choice}}

    return store.build(ref, make)


def _try(spec: dict[str, Any], weight: float, state: Path) -> dict[str, float]:
    """Mean sampled accuracy on each task's development rows with this weight."""
    from factory.core.progress import silent
    from factory.evaluation.variants import adapted
    from factory.merging.build import merge_into
    from factory.models.load import loaded

    folder = state / "candidate"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    merge_into(folder, {**spec, "weights": [weight] * len(spec["inputs"])}, silent)
    model, tokenizer = loaded(spec["base"]["path"], spec["base"].get("revision"))
    with adapted(model, folder) as variant:
        return {task: _accuracy((variant, tokenizer), task, spec) for task in spec["tasks"]}


def _accuracy(model: tuple[Any, Any], name: str, spec: dict[str, Any]) -> float:
    from factory.models.chat import prompt_ids
    from factory.models.generate import generate, sequences_at_once

    benchmark, decoding, samples = of_task(find_task(name)), spec["decoding"][name], spec["search"]["samples"]
    items = benchmark.items("dev", Source.from_json(spec.get("data")))[: spec["search"]["items"]]
    size = max(1, sequences_at_once(model[0]) // samples)
    scores: list[float] = []
    for start in range(0, len(items), size):
        rows = items[start : start + size]
        texts = generate(
            *model,
            [prompt_ids(model[1], row.prompt, raw=row.raw) for row in rows],
            samples=samples,
            max_new_tokens=decoding["max_new_tokens"],
            temperature=decoding["temperature"],
            top_p=decoding["top_p"],
            seed=seed_from("search", name, spec["seed"], start),
        )
        verdicts = [benchmark.verify(c.text, row) for row, mine in zip(rows, texts, strict=True) for c in mine]
        scores += [float(verdict.correct) for verdict in verdicts if verdict.correct is not None]
    return round(sum(scores) / len(scores), 6) if scores else 0.0
