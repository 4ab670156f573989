"""A whole study built through the real store, with numbers made up by rule: no model, no training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from factory.core.atomic import write_json
from factory.core.hashing import key_of, seed_from
from factory.core.records import Outcome
from factory.core.study import Study
from factory.store.ref import Ref
from factory.store.store import Store

BASE_LABEL = "embedded-s0"
DECODING = {"samples": 4, "temperature": 1.0, "top_p": 1.0, "greedy": True, "max_new_tokens": 64, "limit": None}


def outcome(item: str, scores: Sequence[float | None], greedy: float | None = None, text: str = "") -> Outcome:
    """One item; the completions say what they scored."""
    every = [*scores, greedy]
    texts = [f"{text}{item} sample {place}, score {score}" for place, score in enumerate(every)]
    return Outcome(item, list(scores), greedy, texts, ["" for _ in every], [12 for _ in every])


def put_cell(
    store: Store,
    variant: str,
    benchmark: str,
    outcomes: Sequence[Outcome],
    *,
    seed: int = 0,
    trained: Sequence[str] = (),
    chance: float | None = None,
    decoding: Mapping[str, Any] | None = None,
    shares: Mapping[str, Mapping[str, str]] | None = None,
) -> Ref:
    """Build one cell."""
    ref = Ref(
        BASE_LABEL,
        "cell",
        f"{variant.replace(':', '.')}@{benchmark}",
        seed,
        key_of(variant, benchmark, seed, [one.to_json() for one in outcomes]),
    )

    def make(out: Path, state: Path) -> dict[str, Any]:
        lines = [json.dumps(one.to_json(), ensure_ascii=False) for one in outcomes]
        (out / "items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        write_json(out / "prompts.json", {one.item: f"Solve <b>{one.item}</b> & answer." for one in outcomes})
        return {
            "variant": variant,
            "benchmark": benchmark,
            "split": "test",
            "decoding": {**DECODING, **(decoding or {})},
            "chance": chance,
            "trained_tasks": list(trained),
            "metrics": {},
            "shares": dict(shares or {}),
        }

    store.build(ref, make)
    return ref


def put_study(
    store: Store,
    cells: Sequence[Ref],
    variants: Sequence[Mapping[str, Any]],
    *,
    name: str = "tiny",
    benchmarks: Sequence[str] = ("tiny_math",),
    seeds: Sequence[int] = (0,),
    bases: Mapping[str, Any] | None = None,
    stages: Mapping[str, Any] | None = None,
    **study: Any,
) -> Path:
    """Write the card of a study; gives its folder."""
    plain = {"study": name, "seeds": list(seeds), "benchmarks": dict.fromkeys(benchmarks), **study}
    folder = store.root / "studies" / name
    write_json(
        folder / "card.json",
        {
            "study": Study.model_validate(plain).model_dump(),
            "seeds": list(seeds),
            "bases": dict(bases or {}),
            "variants": [dict(variant) for variant in variants],
            "cells": [ref.to_json() for ref in cells],
            "stages": dict(stages or {}),
            "cost": {},
        },
    )
    return folder


TASKS = ("tiny_math", "tiny_sql", "tiny_python", "tiny_ops")
STRENGTH = {  # logits of being right, by variant, then how much more on its own tasks
    "base": (-0.6, 0.0, ()),
    "adapter:math": (-0.5, 1.8, TASKS[:1]),
    "adapter:sql": (-0.4, 2.2, TASKS[1:2]),
    "adapter:python": (-0.2, 1.5, TASKS[2:3]),
    "adapter:joint": (-0.6, 1.4, TASKS[:3]),
    "merge:linear": (-0.5, 1.0, TASKS[:3]),
    "merge:ties": (-0.6, 0.6, TASKS[:3]),
    "merge:dare_ties": (-0.8, 0.1, TASKS[:3]),
}


def full_study(root: Path, *, seeds: Sequence[int] = (0, 1), items: int = 60, text: str = "") -> tuple[Store, Path]:
    """Eight variants on four benchmarks, with adapters' curves, merges' cards, a stage list; some of it unscorable."""
    store = Store(root)
    variants, cells, bases = [], [], {}
    for seed in seeds:
        bases[str(seed)] = _thing(store, "base", "base", seed, {"recipe": {"steps": 1000}}).to_json()
        for variant, (level, gain, trained) in STRENGTH.items():
            kind, _, name = variant.partition(":")
            ref = Ref(**bases[str(seed)]) if kind == "base" else _variant(store, kind, name, seed, trained)
            variants.append({"name": variant, "seed": seed, "ref": ref.to_json()})
            for benchmark in TASKS:
                rng = np.random.default_rng(seed_from("synthetic", variant, benchmark, seed))
                easy = np.random.default_rng(seed_from("items", benchmark)).normal(size=items) * 1.5
                logits = level + easy + (gain if benchmark in trained else 0) + (-9 if benchmark == "tiny_ops" else 0)
                chance_right = 1 / (1 + np.exp(-logits))
                rows = []
                for i in range(items):
                    draws = [float(value) for value in rng.random(5) < chance_right[i]]
                    scores: list[float | None] = [*draws[:4]]
                    if benchmark == "tiny_python" and i == 7:
                        scores[2] = None
                    rows.append(outcome(f"{benchmark}-{i:03d}", scores, draws[4], text))
                cells.append(put_cell(store, variant, benchmark, rows, seed=seed, trained=trained))
    stages = {
        "base": {"cpu_seconds": 88.4, "wall_seconds": 90.1, "jobs": len(seeds)},
        "train": {"cpu_seconds": 1610.0, "wall_seconds": 835.0, "jobs": 4 * len(seeds)},
        "merge": {"cpu_seconds": 21.0, "wall_seconds": 12.0, "jobs": 3 * len(seeds)},
        "score": {"cpu_seconds": 402.0, "wall_seconds": 207.5, "jobs": len(cells)},
    }
    folder = put_study(
        store,
        cells,
        variants,
        benchmarks=TASKS,
        seeds=seeds,
        bases=bases,
        stages=stages,
        description="Does one adapter per task, merged, keep what each learned?",
    )
    return store, folder


def _variant(store: Store, kind: str, name: str, seed: int, trained: Sequence[str]) -> Ref:
    if kind == "merge":
        fields = {
            "method": name,
            "weights": [0.5, 0.5, 0.5],
            "rank": 48,
            "energy_kept": 0.993,
            "parents": ["adapter:math", "adapter:sql", "adapter:python"],
            "search": {"trials": [{"weight": 0.3, "score": 0.41}, {"weight": 0.5, "score": 0.47}]},
        }
        return _thing(store, kind, name, seed, fields)
    return _thing(store, kind, name, seed, {"recipe": {"tasks": list(trained), "max_steps": 60}}, trained)


def _thing(store: Store, kind: str, name: str, seed: int, fields: Mapping[str, Any], curves: Sequence[str] = ()) -> Ref:
    ref = Ref(BASE_LABEL, kind, name, seed, key_of(kind, name, seed))

    def make(out: Path, state: Path) -> dict[str, Any]:
        if curves:
            lines = [json.dumps(_step(step, name, seed, curves)) for step in range(1, 61)]
            (out / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return dict(fields)

    store.build(ref, make)
    return ref


def _step(step: int, name: str, seed: int, tasks: Sequence[str]) -> dict[str, Any]:
    rng = np.random.default_rng(seed_from("curve", name, seed, step))
    done = 1 - np.exp(-step / 20)
    return {
        "step": step,
        "tasks": {
            task: {
                "prompts": 10,
                "completions": 80,
                "reward": round(0.3 + 0.5 * done + 0.05 * float(rng.normal()), 4),
                "components": {
                    "correct": round(0.25 + 0.5 * done + 0.05 * float(rng.normal()), 4),
                    "format": round(0.8 + 0.19 * done, 4),
                },
                "zero_variance": round(0.1 + 0.4 * done, 4),
                "length": round(28 - 6 * done + float(rng.normal()), 2),
                "unscorable": 0,
            }
            for task in tasks
        },
        "seconds": {"generation": 3.1, "scoring": 0.2, "update": 1.4},
        "loss": 0.001,
        "grad_norm": 0.4,
        "kl": None,
        "learning_rate": 1e-3,
        "entropy": 0.6,
    }
