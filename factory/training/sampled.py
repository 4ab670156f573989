"""Completions of the base that its tasks' verifiers accept, sampled in chunks; a killed run goes on after the last."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from factory.core.atomic import write_text
from factory.core.errors import WorkFailed
from factory.core.hashing import seed_from
from factory.training.demonstrations import Demonstration
from factory.training.draws import drawn
from factory.training.lesson import Work
from factory.training.queues import Queues

FILE = "samples.jsonl"
CHUNK = 32


def sampled_right(work: Work, prompts: int, keep: int) -> tuple[list[Demonstration], dict[str, Any], dict[str, Any]]:
    """Right completions of rows drawn as the strategy draws them; then what they cost, and what the card says of them.

    Args:
        prompts: rows to sample for.
        keep: different right completions of a row at most.

    Raises:
        WorkFailed: no completion of some task is right.
    """
    queues = Queues({task: pool.rows for task, pool in work.pools.items()}, work.seed)
    rows = drawn(work.strategy, queues, 0, prompts, work.seed)
    path = work.state / FILE
    known = _read(path)
    for start in range(len(known) * CHUNK, len(rows), CHUNK):
        known.append(_chunk(work, start // CHUNK, rows[start : start + CHUNK]))
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(known[-1]) + "\n")
        work.say(f"sampled {min(start + CHUNK, len(rows))}/{len(rows)} prompts")
    right: dict[tuple[str, int], dict[str, None]] = {}
    for chunk in known:
        for task, row, text in chunk["right"]:
            right.setdefault((task, row), {})[text] = None
    found = [
        Demonstration(task, row, text, f"task {task}, a sample of row {work.pools[task].rows[row].id}")
        for (task, row), texts in right.items()
        for text in list(texts)[:keep]
    ]
    totals = {name: sum(chunk[name] for chunk in known) for name in ("completions", "tokens")}
    for task in work.pools:
        if not any(one.task == task for one in found):
            raise WorkFailed(
                f"task {task}: none of the base's completions is right ({totals['completions']} sampled in all), so "
                "there is nothing to imitate; raise strategy_options.prompts, or take a base that solves some rows"
            )
    seconds = {part: round(sum(chunk["seconds"][part] for chunk in known), 2) for part in ("generation", "scoring")}
    rights = {task: sum(one.task == task for one in found) for task in work.pools}
    return found, {**totals, "verified": totals["completions"], "seconds": seconds}, {"kept": rights}


def _chunk(work: Work, number: int, rows: Sequence[tuple[str, int]]) -> dict[str, Any]:
    import torch

    from factory.models.groups import sample_groups

    torch.manual_seed(seed_from("sampled", work.seed, number))
    start = time.monotonic()
    groups = sample_groups(
        work.model.eval(),
        [work.tokens(work.pools[task].rows[row]) for task, row in rows],
        group=work.recipe.num_generations,
        max_new_tokens=work.recipe.max_completion_length,
        end_ids=_end_ids(work),
        pad_id=work.tokenizer.pad_token_id,
        temperature=work.recipe.temperature,
    )
    generated = time.monotonic()
    right = []
    for (task, row), group in zip(rows, groups, strict=True):
        texts = work.tokenizer.batch_decode(group, skip_special_tokens=True)
        verdicts = work.scorer.verdicts(task, row, texts)
        right += [(task, row, text) for text, verdict in zip(texts, verdicts, strict=True) if verdict.correct]
    return {
        "right": right,
        "completions": sum(len(group) for group in groups),
        "tokens": sum(len(ids) for group in groups for ids in group),
        "seconds": {"generation": generated - start, "scoring": time.monotonic() - generated},
    }


def _end_ids(work: Work) -> list[int]:
    """Every token that ends a completion, the model's and the tokenizer's."""
    own = work.model.generation_config.eos_token_id
    listed = own if isinstance(own, list) else [] if own is None else [own]
    return list(dict.fromkeys([*listed, work.tokenizer.eos_token_id]))


def _read(path: Path) -> list[dict[str, Any]]:
    """The chunks that are whole; a line that a kill cut off is removed."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        write_text(path, "".join(whole))
    return [json.loads(line) for line in whole]
