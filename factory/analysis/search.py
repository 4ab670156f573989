"""A merge's weights, density and method, chosen on development rows: never on the items that are reported."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from factory.analysis.advice import suggest
from factory.analysis.compare import compare
from factory.analysis.optimiser import Space, optimise
from factory.benchmarks._benchmark import of_task
from factory.core.atomic import read_json, write_json
from factory.core.hashing import key_of, seed_from
from factory.core.progress import Report, silent
from factory.core.records import Row
from factory.merging.contract import load_method
from factory.merging.inputs import open_input
from factory.store.ref import Ref
from factory.store.store import Store
from factory.tasks._find import find_task
from factory.tasks._task import Source

VERSION = 2
CHOICE = "choice.json"
_SIGN_ROWS = 16


def build_search(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Job: try merges and keep the one whose worst task is best.

    `spec` is a merge's (see `factory.merging.build`) with `search` (a `WeightSearch`), `tasks`, `decoding` by task and
    `data`. Every trial sees the same development rows under the same sampling seed, and each is kept: a search that was
    killed goes on. What was chosen is scored once more on development rows that no trial has seen.
    """

    def make(out: Path, state: Path) -> dict[str, Any]:
        search, trials = spec["search"], _Trials(spec, state, report)
        if search["budget"] is None:
            for weight in search["candidates"]:
                trials.score({"method": None, "weights": [weight] * len(spec["inputs"]), "density": None})
        else:
            optimise(_space(spec), search["budget"], seed_from("search", spec["seed"]), _start(spec), trials.score)
        best = trials.best
        report("the choice on rows that no trial has seen", None)
        choice = {**best, "held_out": _scores(spec, best, state, held_out=True), "trials": trials.done}
        write_json(out / CHOICE, choice)
        return {
            "recipe": {key: spec[key] for key in ("recipe", "search", "tasks", "rank")},
            "parents": [item["key"] for item in spec["inputs"]],
            "seed": spec["seed"],
            "split": "dev",
            "chosen": best,
            "held_out": choice["held_out"],
            "trials": trials.done,
        }

    return store.build(ref, make)


def build_merge(store: Store, ref: Ref, spec: dict[str, Any], report: Report) -> Path:
    """Job: merge, as a finished search chose where there was one; the card tells how the inputs interfere."""
    from factory.merging.build import merge_into

    def make(out: Path, state: Path) -> dict[str, Any]:
        del state
        if spec.get("search") is None:
            return {**merge_into(out, spec, report), **_interference(spec, spec.get("weights"))}
        choice = read_json(store.open(Ref(**spec["search"])) / CHOICE)
        fields = merge_into(out, chosen(spec, choice), report)
        found = {"key": spec["search"]["key"], "tried": len(choice["trials"]), **choice}
        return {**fields, **_interference(spec, choice["weights"]), "search": found}

    return store.build(ref, make)


def chosen(spec: Mapping[str, Any], choice: Mapping[str, Any]) -> dict[str, Any]:
    """A merge's spec with a choice's method, weights and density in place of its own."""
    recipe = dict(spec["recipe"])
    recipe["merge_method"] = choice["method"] or recipe["merge_method"]
    known = load_method(recipe["merge_method"]).CONTRACT.parameters
    parameters = {name: value for name, value in recipe.get("parameters", {}).items() if name in known}
    if choice["density"] is not None:
        parameters["density"] = choice["density"]
    searched = {"weight", *(["density"] if choice["density"] is not None else [])}
    recipe["parameters"] = parameters
    if recipe.get("models"):
        recipe["models"] = [
            {
                **entry,
                "parameters": {k: v for k, v in entry.get("parameters", {}).items() if k in known.keys() - searched},
            }
            for entry in recipe["models"]
        ]
    return {**spec, "recipe": recipe, "weights": choice["weights"]}


class _Trials:
    """Choices and their scores, each computed once and kept on disk."""

    def __init__(self, spec: Mapping[str, Any], state: Path, report: Report) -> None:
        self._spec, self._state, self._report = spec, state, report
        self.done: list[dict[str, Any]] = []

    def score(self, choice: dict[str, Any]) -> float:
        """The worst task's accuracy, and a little of the mean, which tells equals apart."""
        search = self._spec["search"]
        total = search["budget"] or len(search["candidates"])
        self._report(f"trial {len(self.done) + 1} of {total}", len(self.done) / total)
        path = self._state / "trials" / f"{key_of(choice)}.json"
        if not path.is_file():
            write_json(path, _scores(self._spec, choice, self._state, held_out=False))
        scores: dict[str, float] = read_json(path)
        self.done.append({**choice, "scores": scores})
        return min(scores.values()) + 0.01 * sum(scores.values()) / len(scores)

    @property
    def best(self) -> dict[str, Any]:
        """By the worst task, then the mean: a merge is to keep every task, not to win one. The first among equals."""
        return max(self.done, key=lambda trial: (min(trial["scores"].values()), sum(trial["scores"].values())))


def _space(spec: Mapping[str, Any]) -> Space:
    search, methods = spec["search"], {}
    for name in dict.fromkeys([spec["recipe"]["merge_method"], *search["methods"]]):
        known = load_method(name).CONTRACT.parameters
        methods[name] = ("weight" in known, "density" in known)
    return Space(methods, len(spec["inputs"]), search["low"], search["high"], search["each"])


def _start(spec: Mapping[str, Any]) -> list[float]:
    return suggest(compare(_inputs(spec), rows=_SIGN_ROWS)).weights


def _interference(spec: Mapping[str, Any], weights: Sequence[float] | None) -> dict[str, Any]:
    """For the card: how the inputs interfere, by layer; nothing for a single one."""
    if len(spec["inputs"]) < 2:
        return {}
    found = compare(_inputs(spec), weights, seed=spec.get("seed", 0))
    return {"interference": found.to_json(per_module=False)}


def _inputs(spec: Mapping[str, Any]) -> list[Any]:
    return [open_input(item["title"], Path(item["folder"]), item["key"]) for item in spec["inputs"] if item["folder"]]


def _scores(spec: Mapping[str, Any], choice: Mapping[str, Any], state: Path, *, held_out: bool) -> dict[str, float]:
    """Mean sampled accuracy on each task's development rows with this choice; tasks without such rows are left out."""
    from factory.evaluation.variants import adapted
    from factory.merging.build import merge_into
    from factory.models.load import loaded_base

    rows = {task: _rows(spec, task, held_out=held_out) for task in spec["tasks"]}
    folder = state / "candidate"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    merge_into(folder, chosen(spec, choice), silent)
    model, tokenizer = loaded_base(spec["base"])
    with adapted(model, folder) as variant:
        return {task: _accuracy((variant, tokenizer), task, own, spec) for task, own in rows.items() if own}


def _rows(spec: Mapping[str, Any], name: str, *, held_out: bool) -> list[Row]:
    """Development rows of one task: the first ones to choose on, the next ones to say what the choice is worth."""
    count = spec["search"]["items"]
    rows = list(of_task(find_task(name)).items("dev", Source.from_json(spec.get("data")))[: 2 * count])
    cut = min(count, (len(rows) + 1) // 2)
    return rows[cut:] if held_out else rows[:cut]


def _accuracy(model: tuple[Any, Any], name: str, items: Sequence[Row], spec: Mapping[str, Any]) -> float:
    from factory.models.chat import prompt_ids
    from factory.models.generate import generate, sequences_at_once

    benchmark, decoding, samples = of_task(find_task(name)), spec["decoding"][name], spec["search"]["samples"]
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
