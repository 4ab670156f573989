"""The one door to lm-evaluation-harness: any of its tasks on a loaded variant, every item's outcome kept."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from factory.benchmarks._harness_files import is_task_file, read_task_file
from factory.core.errors import BadInput, UnknownName
from factory.core.records import Outcome
from factory.core.study import Decoding

BATCH = 8
SHOT_SEED = 1234
RUNS_CODE = ("humaneval", "mbpp", "cruxeval")
"""Tasks that run model code, by how their names begin, whether or not the harness marks them as unsafe."""
IN_SANDBOX = ("humaneval", "mbpp")


@lru_cache(maxsize=1)
def _manager() -> Any:
    """The harness's list of tasks; reading its thousands of files takes ten seconds, so it is done once."""
    return _listing()


def _listing(**options: Any) -> Any:
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return TaskManager(**options)


def check(name: str, where: str = "") -> None:
    """Refuse a name that is no task of the harness, or one that runs model code unprotected.

    Raises:
        UnknownName: no task or group has that name; the nearest one is suggested.
        BadInput: a file that is not there, or a task that runs model code outside any sandbox.
    """
    prefix = f"{where}: " if where else ""
    if not is_task_file(name):
        _check_known(name, name, where)
        return
    found = read_task_file(Path(name))
    for task in found.tasks:
        _check_harmless(str(task["task"]), task, f"{prefix}lm_eval:{name}")
    for member in found.elsewhere:
        _check_known(member, name, where)


def _check_known(task: str, name: str, where: str) -> None:
    """Check a task of the harness itself, and all tasks of it if it is a group; `name` is what the user asked for."""
    prefix = f"{where}: " if where else ""
    _check_harmless(task, {}, f"{prefix}lm_eval:{name}")
    manager = _manager()
    if task not in manager.all_tasks:
        near = get_close_matches(task, manager.all_tasks, 3) or manager.all_tasks[:1]
        raise UnknownName("lm_eval task", task, near, where)
    for member, settings in _members(manager.task_index, task):
        _check_harmless(member, settings, f"{prefix}lm_eval:{name}")


def _members(index: Mapping[str, Any], task: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, settings) of a task, or of all tasks of a group or tag."""
    entry = index.get(task)
    if entry is None:
        return
    inner = (entry.cfg or {}).get("task")
    if isinstance(inner, list):
        for one in inner:
            yield from _members(index, one if isinstance(one, str) else str(one.get("group", one.get("task"))))
    elif entry.cfg is None:
        for one in sorted(entry.tags):
            yield from _members(index, one)
    else:
        yield task, entry.cfg


def _check_harmless(task: str, settings: Mapping[str, Any], where: str) -> None:
    metrics = settings.get("metric_list") or []
    runs = settings.get("unsafe_code") or any(
        isinstance(one, Mapping) and one.get("metric") == "code_eval" for one in metrics
    )
    if not (runs or task.startswith(RUNS_CODE)):
        return
    ours = next((one for one in IN_SANDBOX if task.startswith(one)), None)
    instead = (
        f"take benchmark {ours}, which has the harness's prompts and runs code in the sandbox"
        if ours
        else f"of its kind there are the benchmarks {' and '.join(IN_SANDBOX)}, which run code in the sandbox"
    )
    raise BadInput(f"{where}: the harness's {task} runs model code unprotected; {instead}")


def run(model: Any, tokenizer: Any, name: str, decoding: Decoding) -> dict[str, Any]:
    """Score a variant; gives `outcomes`, `prompts` and what the `harness` says of itself, as JSON.

    An item's score is the first metric of its task of which more is better, under the task's first filter, or
    `decoding.metric` (`METRIC` or `METRIC,FILTER`). A group's score is the mean over all items of its tasks; how the
    harness aggregates it stands beside each task's own numbers in `harness`.

    Raises:
        BadInput: the task's rows cannot be had, or it has no such metric, or one that is not between 0 and 1.
    """
    from jinja2 import TemplateError
    from lm_eval import __version__, evaluate
    from lm_eval.models.huggingface import HFLM

    tasks = _loaded(name)
    for task in tasks["tasks"].values():
        _set_shots(task, decoding.few_shot, name)
    try:
        harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH)
        found = evaluate(
            lm=harness, task_dict=tasks, limit=decoding.limit, bootstrap_iters=0, log_samples=True,
            apply_chat_template=bool(decoding.chat_template), fewshot_as_multiturn=bool(decoding.chat_template),
        )  # fmt: skip
    except (OSError, ValueError, LookupError, TemplateError) as error:
        raise _cannot_run(name, error) from error
    outcomes, prompts = [], {}
    for task, samples in found["samples"].items():
        worse = [metric for metric, more in found["higher_is_better"].get(task, {}).items() if more is False]
        for item, sample in _by_item(samples).items():
            place = f"{task}/{item}" if len(found["samples"]) > 1 else str(item)
            outcomes.append(_outcome(place, sample, decoding.metric, worse, name).to_json())
            prompts[place] = _prompt(sample)
    harness_says = {
        "version": __version__,
        "tasks": found["versions"],
        "few_shot": found["n-shot"],
        "results": {title: _numbers(values) for title, values in found["results"].items()},
        "groups": {title: _numbers(values) for title, values in found.get("groups", {}).items()},
    }
    return {"outcomes": outcomes, "prompts": prompts, "harness": harness_says}


def _loaded(name: str) -> Any:
    """The harness's tasks of that name, or of that file and, if it is a group's, the files beside it."""
    wanted = name
    if is_task_file(name):
        file = read_task_file(Path(name))
        wanted = file.group or name  # the harness cannot read a group by its path
        beside = Path(name).resolve().parent if file.group else None
        manager = _listing(include_path=beside, include_defaults=bool(file.elsewhere))
    else:
        manager = _manager()
    try:
        return manager.load([wanted])
    except Exception as error:  # reading a task runs whatever its file says, and `datasets`
        raise _cannot_run(name, error) from error


def _cannot_run(name: str, error: Exception) -> BadInput:
    told = " ".join(str(error).split())[:200]
    return BadInput(f"benchmark lm_eval:{name}: cannot be run ({type(error).__name__}: {told})")


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Those of an aggregate's entries that are finite numbers."""
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


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


def _outcome(item: str, sample: Mapping[str, Any], wanted: str | None, worse: Sequence[str], name: str) -> Outcome:
    """An item's outcome; `worse` are the metrics of which less is better."""
    metrics = {key: float(value) for key, value in sample["all"].items() if isinstance(value, int | float)}
    usable = [key for key in metrics if key.partition(",")[0] not in worse]
    metric = wanted or next(iter(usable), "")
    if metric not in usable:
        has = ", ".join(usable) or "none that is a number for each item and better when it is more"
        raise BadInput(f"benchmark lm_eval:{name}: no metric {metric!r} to score by; it has {has}")
    if not 0 <= metrics[metric] <= 1:
        others = ", ".join(key for key in usable if key.partition(",")[0] != metric.partition(",")[0])
        instead = f"take another one: {others}" if others else "it has no other one"
        told = f"metric {metric} is {metrics[metric]:g} for item {item}, and a score is between 0 and 1"
        raise BadInput(f"benchmark lm_eval:{name}: {told}; {instead}")
    said = sample["filtered_resps"]
    text = said[0] if said and isinstance(said[0], str) else str(said)
    named = {key: value for key, value in metrics.items() if "," in key}
    return Outcome(item, [], metrics[metric], [text], [f"{metric} {metrics[metric]:g}"], [0], named)


def _prompt(sample: Mapping[str, Any]) -> str:
    return str(sample["arguments"][0][0])
