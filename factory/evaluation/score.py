"""The job that makes a cell: one variant on one benchmark, every item's outcome kept.

Items are done in chunks, each seeded by the cell's key and its place, each written when it is done: a run that was
killed goes on at the chunk it was in and ends with the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factory.benchmarks._benchmark import Benchmark, load_benchmark
from factory.core.atomic import read_json, write_json, write_text
from factory.core.config import parse
from factory.core.errors import BadInput, WorkFailed
from factory.core.hashing import digest, seed_from
from factory.core.progress import Report
from factory.core.records import Outcome, Row, Verdict
from factory.core.study import Decoding
from factory.evaluation.variants import adapted
from factory.store.ref import Ref
from factory.store.store import Store
from factory.tasks._task import Source

VERSION = 1
UNSCORABLE_LIMIT = 0.05


def build_cell(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Job: score one variant on one benchmark.

    `spec` holds `variant` (its title), `key`, `adapter` or `model` (folders, or None), `base` (`path`, `revision`,
    `label`), `benchmark`, `split`, `decoding`, `seed`, `trained_tasks` and `data` (the source).
    """

    def make(out: Path, state: Path) -> dict[str, Any]:
        benchmark = load_benchmark(spec["benchmark"])
        decoding = parse(Decoding, spec["decoding"], f"benchmark {benchmark.name}")
        source = Source.from_json(spec.get("data"))
        items = items_of(benchmark, spec["split"], source, decoding.limit)
        outcomes = _outcomes(spec, benchmark, items, decoding, (state, report))
        write_text(out / "items.jsonl", "".join(json.dumps(o.to_json()) + "\n" for o in outcomes))
        write_json(out / "prompts.json", {row.id: row.prompt for row in items})
        return {
            "variant": spec["variant"],
            "benchmark": benchmark.name,
            "split": spec["split"],
            "decoding": spec["decoding"],
            "chance": benchmark.chance,
            "trained_tasks": spec["trained_tasks"],
            "parents": [spec["key"]],
            "seed": spec["seed"],
            "data": {
                "version": benchmark.version,
                "source": benchmark.fingerprint(source),
                "items": len(items),
                "hash": digest([row.id for row in items]),
            },
            "metrics": metrics_of(outcomes),
            "cost": {
                "completions": sum(len(o.completions) for o in outcomes),
                "tokens": sum(sum(o.tokens) for o in outcomes),
            },
        }

    return store.build(ref, make)


def items_of(benchmark: Benchmark, split: Any, source: Source, limit: int | None) -> Sequence[Row]:
    """The first `limit` items of a benchmark's split.

    Raises:
        BadInput: the split is empty.
    """
    items = benchmark.items(split, source)[:limit]
    if not items:
        raise BadInput(f"benchmark '{benchmark.name}' has no items in its {split} split; choose another benchmark")
    return items


def metrics_of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Mean score over samples and over greedy answers, unscorable ones excluded and counted.

    `mixed` is the share of items whose samples did not all score the same: what a group of that size could learn from.
    """
    sampled = [score for o in outcomes for score in o.scores]
    greedy = [o.greedy for o in outcomes if len(o.completions) > len(o.scores)]
    return {
        "sampled": _mean(sampled),
        "greedy": _mean(greedy),
        "mixed": _mean([float(len(set(o.scores)) > 1) for o in outcomes if len(o.scores) > 1]),
        "unscorable": sum(score is None for score in [*sampled, *greedy]),
    }


def _outcomes(
    spec: dict[str, Any], benchmark: Benchmark, items: Sequence[Row], decoding: Decoding, work: tuple[Path, Report]
) -> list[Outcome]:
    from factory.models.generate import sequences_at_once
    from factory.models.load import loaded

    state, report = work
    base = spec["base"]
    path, revision = (spec["model"], None) if spec.get("model") else (base["path"], base.get("revision"))
    model, tokenizer = loaded(path, revision)
    size = max(1, sequences_at_once(model) // max(decoding.samples, 1))
    outcomes: list[Outcome] = []
    with adapted(model, _path(spec.get("adapter"))) as variant:
        for start in range(0, len(items), size):
            chunk = state / f"chunk-{start}.json"
            if not chunk.exists():
                seed = seed_from(spec["key"], benchmark.name, spec["split"], spec["decoding"], spec["seed"], start)
                done = _score_chunk((variant, tokenizer), benchmark, items[start : start + size], decoding, seed)
                write_json(chunk, [outcome.to_json() for outcome in done])
            outcomes += [Outcome.from_json(value) for value in read_json(chunk)]
            _check(outcomes, benchmark)
            report(f"{min(start + size, len(items))}/{len(items)} items", len(outcomes) / len(items))
    return outcomes


def _score_chunk(
    model: tuple[Any, Any], benchmark: Benchmark, items: Sequence[Row], decoding: Decoding, seed: int
) -> list[Outcome]:
    from factory.models.chat import prompt_ids
    from factory.models.generate import generate

    prompts = [prompt_ids(model[1], row.prompt, raw=row.raw) for row in items]
    texts: list[list[Any]] = [[] for _ in items]
    length = decoding.max_new_tokens
    if decoding.samples:
        texts = generate(
            *model,
            prompts,
            samples=decoding.samples,
            max_new_tokens=length,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            seed=seed,
        )
    if decoding.greedy:
        greedy = generate(*model, prompts, samples=0, max_new_tokens=length)
        texts = [sampled + one for sampled, one in zip(texts, greedy, strict=True)]
    return [_outcome(row, mine, benchmark, decoding) for row, mine in zip(items, texts, strict=True)]


def _outcome(row: Row, completions: list[Any], benchmark: Benchmark, decoding: Decoding) -> Outcome:
    # Samples of one item often coincide; the same text has the same verdict.
    verdicts: dict[str, Verdict] = {}
    for completion in completions:
        if completion.text not in verdicts:
            verdicts[completion.text] = benchmark.verify(completion.text, row)
    scores = [_score(verdicts[completion.text]) for completion in completions]
    return Outcome(
        item=row.id,
        scores=scores[: decoding.samples],
        greedy=scores[-1] if decoding.greedy else None,
        completions=[completion.text for completion in completions],
        reasons=[verdicts[completion.text].reason for completion in completions],
        tokens=[completion.tokens for completion in completions],
    )


def _score(verdict: Verdict) -> float | None:
    return None if verdict.correct is None else float(verdict.correct)


def _check(outcomes: Sequence[Outcome], benchmark: Benchmark) -> None:
    verdicts = [score for o in outcomes for score in o.scores]
    failed = sum(score is None for score in verdicts)
    if failed > UNSCORABLE_LIMIT * len(verdicts):
        reason = next(r for o in outcomes for s, r in zip(o.scores, o.reasons, strict=False) if s is None)
        raise WorkFailed(
            f"benchmark {benchmark.name}: the verifier failed on {failed} of {len(verdicts)} completions: {reason}"
        )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
