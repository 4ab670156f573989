"""A study of three strategies on two tasks, built through the real store with numbers made up by rule."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_study import BASE_LABEL, outcome, put_study

from factory.core.atomic import write_json
from factory.core.hashing import key_of, seed_from
from factory.store.ref import Ref
from factory.store.store import Store

TASKS = ("tiny_math", "tiny_sql")
LAST, EVERY = 40, 10
ENDS = {"uniform": (0.9, 0.3), "dapo": (0.9, 0.5), "mt_grpo": (0.8, 0.7)}
"""Accuracy on each task at the end; it grows evenly from 0.1."""
SAMPLES = {"uniform": 40, "dapo": 80, "mt_grpo": 80}
"""Completions of a step."""


def joint_study(root: Path, *, seeds: Sequence[int] = (0, 1, 2), items: int = 100, **asked: Any) -> tuple[Store, Path]:
    """Three strategies with curves; the finished adapters are scored on twice as many items as the points."""
    store = Store(root)
    variants, cells, points = [], [], []
    for seed in seeds:
        base = Ref(BASE_LABEL, "base", "base", seed, key_of("base", seed))
        store.build(base, lambda out, state: {"parents": []})
        variants.append({"name": "base", "seed": seed, "ref": base.to_json()})
        cells += [_cell(store, "base", task, seed, 0.1, 2 * items) for task in TASKS]
        for name, ends in ENDS.items():
            adapter = _adapter(store, name, seed)
            variants.append({"name": f"adapter:{name}", "seed": seed, "ref": adapter.to_json()})
            for task, end in zip(TASKS, ends, strict=True):
                cells.append(_cell(store, f"adapter:{name}", task, seed, end, 2 * items))
                for step in range(EVERY, LAST, EVERY):
                    level = 0.1 + (end - 0.1) * step / LAST
                    points.append(_cell(store, f"adapter:{name}@{step}", task, seed, level, items))
    asked = {"adapters": {name: {"tasks": list(TASKS)} for name in ENDS}, "joint": asked}
    folder = put_study(store, cells, variants, name="joint", benchmarks=TASKS, seeds=seeds, **asked)
    card = json.loads((folder / "card.json").read_text())
    write_json(folder / "card.json", {**card, "points": [ref.to_json() for ref in points]})
    return store, folder


def _adapter(store: Store, name: str, seed: int) -> Ref:
    ref = Ref(BASE_LABEL, "adapter", name, seed, key_of("joint", name, seed))

    def make(out: Path, state: Path) -> dict[str, Any]:
        lines = [json.dumps(_line(name, step, seed)) for step in range(1, LAST + 1)]
        (out / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"recipe": {"tasks": list(TASKS), "max_steps": LAST}, "steps": LAST, "trained_tasks": list(TASKS)}

    store.build(ref, make)
    return ref


def _line(name: str, step: int, seed: int) -> Mapping[str, Any]:
    rng = np.random.default_rng(seed_from("line", name, step, seed))
    z = 0.5 - 0.008 * step if name == "mt_grpo" else 0.5
    got = float(np.clip(z + 0.1 * rng.normal(), 0, 1))
    shares = dict(zip(TASKS, (z, 1 - z), strict=True))
    return {
        "step": step,
        "tasks": {
            task: {
                "prompts": 5,
                "kept": 4,
                "completions": SAMPLES[name] // 2,
                "reward": 0.1 + 0.01 * step,
                "components": {"correct": 0.1 + 0.01 * step, "format": 0.9},
                "zero_variance": 0.4,
                "length": 20.0,
                "unscorable": 0,
            }
            for task in TASKS
        },
        "strategy": {
            "weights": shares,
            "quota": {},
            "share": dict(zip(TASKS, (got, 1 - got), strict=True)),
            "rounds": 1,
            "informative": 6,
            "padding": 0,
            "improvement": {},
        },
        "seconds": {"generation": 1.0, "scoring": 0.1, "update": 0.5},
        "loss": 0.0,
        "grad_norm": 0.3,
        "kl": None,
        "learning_rate": 1e-3,
        "entropy": 0.7,
    }


def _cell(store: Store, variant: str, benchmark: str, seed: int, level: float, items: int) -> Ref:
    """Items of which exactly the share `level` is right; seeds differ by one item up and down."""
    right = round(level * items) + (seed - 1 if 0.1 < level < 1 else 0) * items // 100
    key = key_of(variant, benchmark, seed, level, items)
    ref = Ref(BASE_LABEL, "cell", f"{variant.replace(':', '.')}-on-{benchmark}", seed, key)

    def make(out: Path, state: Path) -> dict[str, Any]:
        # Every hundred items hold the same share of right ones, so that the first hundred are like all of them.
        rows = [outcome(f"{i:03d}", [float(i % 100 < right * 100 // items)] * 2) for i in range(items)]
        (out / "items.jsonl").write_text("".join(json.dumps(row.to_json()) + "\n" for row in rows), encoding="utf-8")
        trained = [] if variant == "base" else list(TASKS)
        return {
            "variant": variant,
            "benchmark": benchmark,
            "split": "test",
            "decoding": {"samples": 2, "temperature": 1.0, "top_p": 1.0, "greedy": False, "max_new_tokens": 40},
            "chance": None,
            "trained_tasks": trained,
            "own": variant != "base",
            "metrics": {},
        }

    store.build(ref, make)
    return ref
