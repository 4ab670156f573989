"""The job that makes an adapter: rows, a strategy, its lesson, a reload check, and a card with the whole history."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from factory.core.atomic import read_jsonl
from factory.core.config import parse
from factory.core.discover import load
from factory.core.errors import BadInput
from factory.core.hashing import digest, seed_from
from factory.core.lora import FULL, Quantization
from factory.core.progress import Report
from factory.core.recipes import AdapterRecipe
from factory.rewards import Pool, Scorer
from factory.store.points import CHECKPOINTS
from factory.store.ref import Ref
from factory.store.store import Store
from factory.tasks._find import find_task
from factory.tasks._task import Source
from factory.training import ranks
from factory.training.checkpoints import newest
from factory.training.cost import cost_of
from factory.training.grpo import Grpo
from factory.training.keep import Keeper, read_back, write_peft
from factory.training.lesson import Work
from factory.training.lora import has_moved
from factory.training.preflight import check_golds
from factory.training.processes import train_in_processes
from factory.training.strategy import sizes_of

VERSION = 3
KEPT = "kept"
NO_SIGNAL = "no group of completions had rewards that differ, so nothing was learned: the adapter is the base"


def build_adapter(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Job: train one adapter.

    `spec` holds `recipe` (an `AdapterRecipe`), `seed`, `base` (`Base.to_json`), `data` (the source); for a learning
    curve `keep_every`: the steps after which the adapter is kept as it is then; for distillation `teachers`: `path` and
    `key` of each, by the name the recipe gives it; for more than one process on this machine `processes`.
    """
    recipe = parse(AdapterRecipe, spec["recipe"], f"adapter {ref.name}")

    def make(out: Path, state: Path) -> dict[str, Any]:
        if (processes := spec.get("processes", 1)) > 1:
            (state / CHECKPOINTS).mkdir(exist_ok=True)
            newest(state / CHECKPOINTS, belongs_to(spec))  # cleared of halves before several look at once
            return train_in_processes(processes, spec, (out, state), report)
        return train_here(recipe, spec, (out, state), report)

    return store.build(ref, make)


def belongs_to(spec: dict[str, Any]) -> dict[str, Any]:
    """What the checkpoints of a job are checkpoints of."""
    of = {"recipe": spec["recipe"], "seed": spec["seed"], "base": spec["base"]["hash"]}
    return {**of, "processes": spec["processes"]} if "processes" in spec else of


def pools_of(recipe: AdapterRecipe, source: Source) -> dict[str, Pool]:
    """The training rows of a recipe's tasks.

    Raises:
        BadInput: a task without training rows.
    """
    pools = {}
    for name in recipe.tasks:
        task = find_task(name)
        rows = task.rows("train", source)[: recipe.train_rows]
        if not rows:
            raise BadInput(f"task '{name}' has no training rows; choose another task")
        pools[name] = Pool(task, rows)
    return pools


def train_here(
    recipe: AdapterRecipe, spec: dict[str, Any], folders: tuple[Path, Path], report: Report
) -> dict[str, Any]:
    """Train in this process, into the folders `out` and `state`; gives the adapter's part of the card.

    Where several train together, rank 0 alone writes `out`, and the others give nothing.

    Raises:
        BadInput: a strategy that trains in one process alone.
    """
    from factory.models.chat import prompt_ids
    from factory.models.load import device, load_model, load_tokenizer, one_thread
    from factory.models.quantize import described

    out, state = folders
    base = spec["base"]
    one_thread()
    report("loading rows and base", 0.0)
    source = Source.from_json(spec.get("data"))
    pools = pools_of(recipe, source)
    strategy = load("factory.training.strategies", recipe.strategy, kind="strategy").build(recipe, sizes_of(pools))
    if strategy.lesson is not None and ranks.size() > 1:
        raise BadInput(f"strategy '{recipe.strategy}' trains in one process; leave --processes out")
    scorer = Scorer(pools, recipe.rewards, recipe.unscorable_limit)
    check_golds(pools, scorer)
    tokenizer = load_tokenizer(base["path"], base.get("revision"))
    kind: Quantization = base.get("quantization") or FULL
    teachers: dict[str, dict[str, str]] = spec.get("teachers") or {}

    def load_base() -> Any:
        return load_model(base["path"], base.get("revision"), kind)

    def on_step(line: dict[str, Any]) -> None:
        report(_say(line, recipe.max_steps), line["step"] / recipe.max_steps)

    work = Work(
        recipe=recipe,
        model=load_base(),
        load=load_base,
        tokenizer=tokenizer,
        pools=pools,
        strategy=strategy,
        scorer=scorer,
        tokens=lambda row: prompt_ids(tokenizer, row.prompt, raw=row.raw),
        state=state,
        # The recipe is part of the seed: adapters of one study start from different random factors.
        seed=seed_from("train", spec["recipe"], spec["seed"]),
        teachers={name: teacher["path"] for name, teacher in teachers.items()},
        on_step=on_step,
        say=lambda text: report(text, 0.0),
        keep=Keeper(state / KEPT, base, spec.get("keep_every"), recipe.max_steps),
        of=belongs_to(spec),
    )
    taught = (strategy.lesson or Grpo()).teach(work)
    if ranks.rank():
        return {}
    write_peft(taught.model, out, base)
    read_back(out)
    moved = has_moved(taught.model)
    shutil.copy(state / "metrics.jsonl", out / "metrics.jsonl")
    if (state / KEPT / CHECKPOINTS).is_dir():
        shutil.copytree(state / KEPT / CHECKPOINTS, out / CHECKPOINTS)
    lines = read_jsonl(out / "metrics.jsonl")
    return {
        "recipe": spec["recipe"],
        "seed": spec["seed"],
        "parents": [base["hash"], *(teacher["key"] for teacher in teachers.values())],
        "base": {key: base.get(key) for key in ("label", "revision", "hash")},
        "quantization": described(kind, device()),
        "data": {
            name: {
                "version": pool.task.version,
                "origin": pool.task.origin,
                "source": pool.task.fingerprint(source),
                "rows": len(pool.rows),
                "hash": digest([row.id for row in pool.rows]),
                "used": taught.used.get(name, 0),
                "licence": pool.task.licence,
            }
            for name, pool in pools.items()
        },
        "trained_tasks": recipe.tasks,
        "processes": ranks.size(),
        "warning": NO_SIGNAL if not moved else taught.stopped,
        "steps": lines[-1]["step"],
        "metrics": {"first": lines[0]["tasks"], "last": lines[-1]["tasks"]},
        "cost": cost_of(lines, taught.before),
        **taught.notes,
    }


def _say(line: dict[str, Any], steps: int) -> str:
    tasks = "  ".join(
        f"{name} {task['components'].get('correct', task['reward']) or 0:.2f}"
        for name, task in line["tasks"].items()
        if task["reward"] is not None
    )
    loss = "" if line["loss"] is None else f", loss {line['loss']:.4f}"
    return f"step {line['step']}/{steps}{f': correct {tasks}' if tasks else ''}{loss}"
