"""The one door to lm-evaluation-harness: any of its tasks on a loaded variant, every item's outcome kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
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
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return TaskManager()


def check(name: str, where: str = "") -> None:
    """Refuse a name that is no task of the harness, or one that runs model code unprotected.

    Raises:
        UnknownName: no task or group has that name; the nearest one is suggested.
        BadInput: a file that is not there, or a task that runs model code outside any sandbox.
    """
    prefix = f"{where}: " if where else ""
    if name.startswith(CODE):
        raise BadInput(
            f"{prefix}lm_eval:{name} runs model code unprotected; take benchmark {name.partition('_')[0]}, which has "
            "the harness's prompts and runs code in the sandbox"
        )
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise BadInput(f"{prefix}lm_eval:{name}: no such file; give a task's file or its name in the harness")
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
        for task in tasks["tasks"].values():
            _set_shots(task, decoding.few_shot, name)
        harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH)
        found = evaluate(
            lm=harness, task_dict=tasks, limit=decoding.limit, bootstrap_iters=0, log_samples=True,
            apply_chat_template=bool(decoding.chat_template), fewshot_as_multiturn=bool(decoding.chat_template),
        )  # fmt: skip
    except BadInput:
        raise
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


def _set_shots(task: Any, number: int | None, name: str) -> None:
    """The worked examples of a task, as the harness's own command sets them; there a task may fix their number at 0."""
    own = task.get_config("num_fewshot")
    if number and own == 0:
        told = f"the harness asks {task.task_name} without examples"
        raise BadInput(f"benchmark lm_eval:{name}: {told}; take few_shot out")
    task.set_config("num_fewshot", (own or 0) if number is None else number)
    task.set_fewshot_seed(SHOT_SEED)


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
