"""The job that makes a cell: one variant on one benchmark, every item's outcome kept.

Items are done in chunks, each seeded by the cell's key and its place, each written when it is done: a run that was
killed goes on at the chunk it was in and ends with the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from factory.benchmarks._benchmark import LM_EVAL, Benchmark, load_benchmark
from factory.core.atomic import read_json, write_json, write_text
from factory.core.config import parse
from factory.core.errors import WorkFailed
from factory.core.hashing import digest, seed_from
from factory.core.lora import FULL
from factory.core.progress import Report
from factory.core.records import Outcome
from factory.core.study import Decoding
from factory.evaluation.asking import Asker
from factory.evaluation.variants import adapted
from factory.store.points import at_step
from factory.store.ref import Ref
from factory.store.store import Store
from factory.tasks._find import same_task
from factory.tasks._task import Source

VERSION = 2
UNSCORABLE_LIMIT = 0.05


def build_cell(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Job: score one variant on one benchmark.

    `spec` holds `variant` (its title), `key`, `adapter` or `model` (folders, or None), `step` (of the adapter's
    training; None is the finished one), `base` (`path`, `revision`,
    `label`), `benchmark`, `split`, `decoding`, `seed`, `trained_tasks` and `data` (the source).
    """

    def make(out: Path, state: Path) -> dict[str, Any]:
        benchmark = load_benchmark(spec["benchmark"])
        decoding = parse(Decoding, spec["decoding"], f"benchmark {benchmark.name}")
        source = Source.from_json(spec.get("data"))
        asked = _asked_by_harness if benchmark.method == LM_EVAL else _asked
        outcomes, prompts, extra = asked(spec, (benchmark, decoding, source), state, report)
        write_text(out / "items.jsonl", "".join(json.dumps(o.to_json()) + "\n" for o in outcomes))
        write_json(out / "prompts.json", prompts)
        return {
            "variant": spec["variant"],
            "benchmark": benchmark.name,
            "split": spec["split"],
            "method": benchmark.method,
            "quantization": spec["base"].get("quantization") or FULL,
            "decoding": spec["decoding"],
            "chance": benchmark.chance,
            "shares": {name: asdict(share) for name, share in benchmark.shares.items()},
            "trained_tasks": spec["trained_tasks"],
            "own": any(same_task(benchmark.task, task) for task in spec["trained_tasks"]),
            "parents": [spec["key"]],
            "seed": spec["seed"],
            "data": {
                "version": benchmark.version,
                "source": benchmark.fingerprint(source),
                "items": len(outcomes),
                "hash": digest([outcome.item for outcome in outcomes]),
            },
            "metrics": {**metrics_of(outcomes), **extra},
            "cost": {
                "completions": sum(len(o.completions) for o in outcomes),
                "tokens": sum(sum(o.tokens) for o in outcomes),
            },
        }

    return store.build(ref, make)


def metrics_of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Mean score over samples and over greedy answers, unscorable ones excluded and counted.

    `mixed` is the share of items whose samples did not all score the same: what a group of that size could learn from.
    `others` are the means of the benchmark's further metrics over greedy answers.
    """
    sampled = [score for o in outcomes for score in o.scores]
    greedy = [o.greedy for o in outcomes if len(o.completions) > len(o.scores)]
    names = dict.fromkeys(name for o in outcomes for name in o.metrics)
    return {
        "sampled": _mean(sampled),
        "greedy": _mean(greedy),
        "mixed": _mean([float(len(set(o.scores)) > 1) for o in outcomes if len(o.scores) > 1]),
        "unscorable": sum(score is None for score in [*sampled, *greedy]),
        "others": {name: _mean([o.metrics.get(name) for o in outcomes]) for name in names},
    }


Asked = tuple[list[Outcome], dict[str, str], dict[str, Any]]
"""Outcomes, prompts by item, further numbers for the card."""


def _asked(spec: dict[str, Any], what: tuple[Benchmark, Decoding, Source], state: Path, report: Report) -> Asked:
    """Ask all items in chunks, each kept when it is done."""
    from factory.models.chat import longest

    benchmark, decoding, source = what
    items = benchmark.asked(spec["split"], source, decoding.limit, decoding.few_shot or 0)
    outcomes: list[Outcome] = []
    cut = 0
    with _variant(spec) as (model, tokenizer):
        asker = Asker(model, tokenizer, benchmark, decoding, longest(model, tokenizer))
        asker.check()
        size = asker.chunk_items(items)
        for start in range(0, len(items), size):
            chunk = state / f"chunk-{start}.json"
            if not chunk.exists():
                seed = seed_from(spec["key"], benchmark.name, spec["split"], spec["decoding"], spec["seed"], start)
                done, lost = asker.ask(items[start : start + size], seed)
                write_json(chunk, {"cut": lost, "outcomes": [outcome.to_json() for outcome in done]})
            kept = read_json(chunk)
            outcomes += [Outcome.from_json(value) for value in kept["outcomes"]]
            cut += kept["cut"]
            _check(outcomes, benchmark)
            report(f"{min(start + size, len(items))}/{len(items)} items", len(outcomes) / len(items))
        prompts = {row.id: asker.text(row) if row.shots else row.prompt for row in items}
    return outcomes, prompts, {"truncated": cut}


def _asked_by_harness(
    spec: dict[str, Any], what: tuple[Benchmark, Decoding, Source], state: Path, report: Report
) -> Asked:
    """Let lm-evaluation-harness ask; its result is one piece, kept when it is done."""
    from factory.evaluation.lm_eval_door import run

    benchmark, decoding, _ = what
    path = state / "harness.json"
    if not path.exists():
        report("lm-evaluation-harness", 0.0)
        with _variant(spec) as (model, tokenizer):
            write_json(path, run(model, tokenizer, benchmark.name.partition(":")[2], decoding))
    kept = read_json(path)
    outcomes = [Outcome.from_json(value) for value in kept["outcomes"]]
    return outcomes, kept["prompts"], {"harness": kept["harness"]}


@contextmanager
def _variant(spec: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    from factory.models.load import loaded_base

    base = spec["base"]
    model, tokenizer = loaded_base({**base, "path": spec["model"], "revision": None} if spec.get("model") else base)
    adapter = _path(spec.get("adapter"))
    if adapter is not None and spec.get("step") is not None:
        adapter = at_step(adapter, spec["step"])
    with adapted(model, adapter) as variant:
        yield variant, tokenizer


def _check(outcomes: Sequence[Outcome], benchmark: Benchmark) -> None:
    verdicts = [
        (score, reason)
        for o in outcomes
        for score, reason in zip([*o.scores, o.greedy][: len(o.completions)], o.reasons, strict=True)
    ]
    reasons = [reason for score, reason in verdicts if score is None]
    if len(reasons) > UNSCORABLE_LIMIT * len(verdicts):
        raise WorkFailed(
            f"benchmark {benchmark.name}: the verifier failed on {len(reasons)} of {len(verdicts)} completions: "
            f"{reasons[0]}"
        )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
