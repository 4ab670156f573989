"""The one door to lm-evaluation-harness: any of its tasks on a loaded variant, every item's outcome kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from factory.core.errors import BadInput, UnknownName
from factory.core.records import Outcome
from factory.core.study import Decoding

BATCH = 8
SHOT_SEED = 1234
CODE = ("humaneval", "mbpp")


@lru_cache(maxsize=1)
def _manager() -> Any:
    """The harness's list of tasks; reading its thousands of files takes ten seconds, so it is done once."""
    # Without a network each miss would cost five retries.
    os.environ.setdefault("HF_HUB_OFFLINE", "1") if os.environ.get("FACTORY_DATA") else None
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return TaskManager()


def check(name: str, where: str = "") -> None:
    """Refuse a name that is no task of the harness, or one that runs model code unprotected.

    Raises:
        UnknownName: no task or group has that name; the nearest one is suggested.
        BadInput: a task that runs model code outside any sandbox.
    """
    prefix = f"{where}: " if where else ""
    if name.startswith(CODE):
        raise BadInput(
            f"{prefix}lm_eval:{name} runs model code unprotected; take benchmark {name.partition('_')[0]}, which has "
            "the harness's prompts and runs code in the sandbox"
        )
    if name.endswith((".yaml", ".yml")):
        return
    known = _manager().all_tasks
    if name not in known:
        raise UnknownName("lm_eval task", name, get_close_matches(name, known, 3) or known[:1], where)


def run(model: Any, tokenizer: Any, name: str, decoding: Decoding) -> dict[str, Any]:
    """Score a variant; gives `outcomes`, `prompts` and what the `harness` says of itself, as JSON.

    An item's score is the task's first metric under its first filter, or `decoding.metric` (`METRIC` or
    `METRIC,FILTER`).

    Raises:
        BadInput: the task's rows cannot be had, or it has no such metric.
    """
    from lm_eval import __version__, evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_defaults=False) if name.endswith((".yaml", ".yml")) else _manager()
    try:
        tasks = manager.load([name])
        for task in _leaves(tasks):
            if decoding.few_shot is not None and decoding.few_shot != 0:
                task.set_config("num_fewshot", decoding.few_shot)
            task.set_fewshot_seed(SHOT_SEED)
        harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH)
        found = evaluate(
            lm=harness, task_dict=tasks, limit=decoding.limit, bootstrap_iters=0, log_samples=True,
            apply_chat_template=bool(decoding.chat_template), fewshot_as_multiturn=bool(decoding.chat_template),
        )  # fmt: skip
    except (OSError, ConnectionError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        raise BadInput(f"benchmark lm_eval:{name}: cannot be run ({type(error).__name__}: {told})") from error
    outcomes, prompts = [], {}
    for task, samples in found["samples"].items():
        for item, sample in _by_item(samples).items():
            place = f"{task}/{item}" if len(found["samples"]) > 1 else str(item)
            outcomes.append(_outcome(place, sample, decoding.metric, name).to_json())
            prompts[place] = _prompt(sample)
    harness_says = {"version": __version__, "tasks": found["versions"], "few_shot": found["n-shot"]}
    return {"outcomes": outcomes, "prompts": prompts, "harness": harness_says}


def _leaves(tasks: Mapping[Any, Any]) -> Iterator[Any]:
    for value in tasks.values():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield value


def _by_item(samples: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """The sample of each item under the task's first filter; the metrics of further filters beside its own."""
    first = samples[0]["filter"] if samples else ""
    found: dict[int, dict[str, Any]] = {}
    for sample in samples:
        named = {f"{metric},{sample['filter']}": sample[metric] for metric in sample["metrics"]}
        if sample["filter"] == first:
            found[sample["doc_id"]] = {**sample, "all": {**{m: sample[m] for m in sample["metrics"]}, **named}}
        else:
            found[sample["doc_id"]]["all"].update(named)
    return found


def _outcome(item: str, sample: Mapping[str, Any], wanted: str | None, name: str) -> Outcome:
    metrics = {key: float(value) for key, value in sample["all"].items() if isinstance(value, int | float)}
    metric = wanted or next(iter(metrics), "")
    if metric not in metrics:
        has = ", ".join(metrics) or "none that is a number for each item"
        raise BadInput(f"benchmark lm_eval:{name}: no metric {metric!r}; it has {has}")
    said = sample["filtered_resps"]
    text = said[0] if said and isinstance(said[0], str) else str(said)
    named = {key: value for key, value in metrics.items() if "," in key or key == metric}
    return Outcome(item, [], metrics[metric], [text], [f"{metric} {metrics[metric]:g}"], [0], named)


def _prompt(sample: Mapping[str, Any]) -> str:
    return str(sample["arguments"][0][0])
