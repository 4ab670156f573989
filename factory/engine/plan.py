"""A study as a graph of jobs, each named by a hash of everything that goes into it. Planning runs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from factory.benchmarks._benchmark import LM_EVAL, Benchmark, load_benchmark, task_benchmark
from factory.core import discover
from factory.core.atomic import read_json
from factory.core.errors import BadInput, UnknownName
from factory.core.hashing import key_of
from factory.core.lora import FULL, Quantization
from factory.core.recipes import AdapterRecipe, EmbeddedRecipe
from factory.core.study import Decoding, MergeSpec, Study
from factory.engine import contamination, estimate
from factory.engine.given import digest_of_demonstrations
from factory.engine.teachers import Teacher, find_teacher, in_order, teachers_of
from factory.evaluation import score
from factory.models.bases import Base, embedded_seed, outside_base
from factory.models.quantize import check_quantization, refuse_quantized
from factory.rewards import check_components
from factory.store.ref import Ref, on_loading
from factory.store.store import Store
from factory.tasks._find import find_task, source_digest
from factory.tasks._task import Source
from factory.training import train, warmup
from factory.training.samplers import check_sampler
from factory.training.strategy import declared_sizes

STAGES = ("check", "base", "adapters", "merges", "matrix", "report")


@dataclass(frozen=True)
class Job:
    """One thing to be built.

    Attributes:
        ref: what it makes.
        stage: one of `STAGES`.
        run: `module:function`, called as `(store, ref, spec, report)`.
        spec: its JSON input.
        needs: refs that must be finished first.
        cost: expected CPU-seconds on the embedded base, a rough guess elsewhere.
    """

    ref: Ref
    stage: str
    run: str
    spec: dict[str, Any]
    needs: tuple[Ref, ...] = ()
    cost: float = 0.0


@dataclass
class Plan:
    """All jobs of a study, in an order in which each comes after what it needs.

    Attributes:
        variants: (seed, title, ref) of everything that is scored; a base that is not made here has no ref.
        cells: refs of the matrix.
        points: refs of the learning curves' cells: adapters as they were during training.
        bases: by seed.
        gate: which benchmark items stand in the training rows; None if nothing is trained or scored.
    """

    jobs: list[Job] = field(default_factory=list)
    variants: list[tuple[int, str, Ref | None]] = field(default_factory=list)
    cells: list[Ref] = field(default_factory=list)
    points: list[Ref] = field(default_factory=list)
    bases: dict[int, Base] = field(default_factory=dict)
    gate: Ref | None = None

    def add(self, job: Job) -> Ref:
        """Add a job unless an equal one is there."""
        if all(other.ref != job.ref for other in self.jobs):
            self.jobs.append(job)
        return job.ref


def plan_study(store: Store, study: Study, source: Source, *, dry: bool = False) -> Plan:
    """Plan a whole study; everything it names is checked here, before any work.

    Args:
        dry: whether nothing is going to be run, so that a base on the Hub need not be asked for.

    Raises:
        UnknownName: a task, strategy, recipe, method, adapter or benchmark that does not exist.
        BadInput: a recipe that does not parse, rows that cannot be had.
    """
    for quantization in (study.quantization, *study.scored_on):
        check_quantization(quantization, f"study {study.study}")
    recipes = {name: study.recipe(name) for name in study.adapters}
    for name, recipe in recipes.items():
        check_recipe(name, recipe, source)
    for name, merge in study.merges.items():
        _check_merge(study, name, merge)
    benchmarks = {name: load_benchmark(name, f"study {study.study}") for name in study.benchmarks}
    for name, benchmark in benchmarks.items():
        check_benchmark(benchmark, study.decoding_of(name, benchmark.decoding()), source, f"study {study.study}")
    plan = Plan()
    plan.gate = _plan_gate(plan, study, recipes, benchmarks, source)
    for seed in study.seeds:
        _SeedPlan(store, study, plan, seed, source, dry).run(recipes, benchmarks)
    return plan


def check_recipe(name: str, recipe: AdapterRecipe, source: Source) -> None:
    """Check everything of a recipe that can be checked without its base.

    Raises:
        UnknownName: a task, strategy or reward component that does not exist.
        BadInput: shares or rewards that make no sense, rows or a sampler that cannot be had.
    """
    where = f"adapter {name}"
    check_quantization(recipe.quantization or FULL, where)
    check_sampler(recipe.trl, where)
    tasks = [find_task(task, where) for task in recipe.tasks]
    strategy = discover.load("factory.training.strategies", recipe.strategy, kind="strategy", where=where)
    strategy.build(recipe, declared_sizes({task.name: task for task in tasks}))
    check_components(recipe.rewards, tasks, where)
    for task in tasks:
        task.fingerprint(source)
    if len({getattr(task.rows, "raw", False) for task in tasks}) > 1:
        raise BadInput(f"{where}: some tasks have @raw prompts and some have not; give all of them @raw, or none")


def check_benchmark(benchmark: Benchmark, decoding: Decoding, source: Source, where: str) -> None:
    """Check that a benchmark's items can be had and scored so, without its base.

    Raises:
        UnknownName: a metric, or a task of lm-evaluation-harness, that does not exist.
        BadInput: items that cannot be had, worked examples where there are none.
    """
    if benchmark.method == LM_EVAL:
        from factory.evaluation import lm_eval_door

        lm_eval_door.check(benchmark.name.partition(":")[2], where)
    benchmark.check(decoding.model_dump(), f"{where}, ")
    benchmark.fingerprint(source)


def _check_merge(study: Study, name: str, merge: MergeSpec) -> None:
    from factory.merging.recipe import read_recipe, resolve

    where = f"study {study.study}, merge {name}"
    for adapter in merge.adapters:
        if adapter not in study.adapters:
            raise UnknownName("adapter", adapter, study.adapters, where)
    recipe, _ = read_recipe(merge.recipe)
    resolve(recipe, len(merge.adapters), merge.weights)


def plan_base(
    store: Store, plan: Plan, text: str, seed: int, recipe: EmbeddedRecipe, *, dry: bool = False
) -> tuple[Base, Ref | None]:
    """The base a text means, and the job that makes it if it is made here.

    Raises:
        BadInput: there is no such base.
    """
    own = embedded_seed(text, seed)
    if own is None:
        return outside_base(text, dry=dry), None
    plain = recipe.model_dump()
    tasks = {name: find_task(name, "embedded base").version for name in recipe.tasks}
    key = key_of("base", warmup.VERSION, plain, tasks, own)
    kind = "embedded" if recipe == EmbeddedRecipe() else f"embedded-{key_of(plain)[:4]}"
    ref = Ref(f"{kind}-s{own}", "base", "embedded", own, key)
    spec = {"recipe": plain, "seed": own}
    plan.add(Job(ref, "base", "factory.training.warmup:build_base", spec, cost=estimate.base(recipe)))
    return Base(ref.base, str(store.path(ref).resolve()), None, key), ref


def plan_adapter(
    plan: Plan,
    name: str,
    recipe: AdapterRecipe,
    base: tuple[Base, Ref | None],
    seed: int,
    source: Source,
    gate: Ref | None = None,
    keep_every: int | None = None,
    teachers: Mapping[str, Teacher] | None = None,
    processes: int = 1,
) -> Ref:
    """The job that trains one adapter, after a gate and its teachers if there are any.

    Args:
        keep_every: after so many steps the adapter is kept as it is then.
        teachers: by the name the recipe gives them.
        processes: that train it together; they sample other completions than one does.

    Raises:
        BadInput: a file of demonstrations is not there, or processes that cannot share a step.
    """
    made = base[1]
    where = replace(base[0], quantization=recipe.quantization or FULL)
    plain = recipe.model_dump()
    tasks = {task: task_identity(task, source) for task in recipe.tasks}
    strategy = discover.source_digest("factory.training.strategies", recipe.strategy)
    key = key_of("adapter", train.VERSION, plain, where.hash, seed, tasks, strategy)
    spec = {"recipe": plain, "seed": seed, "base": where.to_json(), "data": source.to_json()}
    if teachers:
        key = key_of(key, "teachers", {name: teacher.key for name, teacher in teachers.items()})
        spec["teachers"] = {name: {"path": one.path, "key": one.key} for name, one in teachers.items()}
    given = digest_of_demonstrations(recipe, f"adapter {name}")
    if given is not None:
        key = key_of(key, "demonstrations", given)
    if processes > 1:
        if recipe.prompts_per_step % processes:
            raise BadInput(
                f"adapter {name}: {processes} processes cannot share prompts_per_step {recipe.prompts_per_step} "
                "evenly; give a number that divides it"
            )
        key, spec = key_of(key, "processes", processes), {**spec, "processes": processes}
    if keep_every is not None:
        # Not the recipe's: what is trained is the same, bit by bit; only more of it is kept.
        key, spec = key_of(key, "keep", keep_every), {**spec, "keep_every": keep_every}
    needs = tuple(one for one in (gate, made, *(teacher.ref for teacher in (teachers or {}).values())) if one)
    ref = Ref(where.label, "adapter", name, seed, key)
    cost = estimate.adapter(recipe)
    return plan.add(Job(ref, "adapters", "factory.training.train:build_adapter", spec, needs, cost))


def plan_cell(
    plan: Plan,
    store: Store,
    base: tuple[Base, Ref | None],
    variant: tuple[str, Ref | None, list[str]],
    benchmark: Benchmark,
    decoding: dict[str, Any],
    seed: int,
    source: Source,
    step: int | None = None,
) -> Ref:
    """The job that scores one variant on one benchmark; `variant` is its title, ref and trained tasks.

    With a `step` it is the adapter as it was after that step of its training.
    """
    where, made = base
    title, ref, trained = variant
    subject = ref.key if ref and ref.kind != "base" else where.hash
    if step is not None:
        title, subject = f"{title}@{step}", f"{subject}@{step}"
    identity = [benchmark.name, benchmark.version, benchmark.fingerprint(source)]
    key = key_of("cell", score.VERSION, subject, identity, decoding, seed, "test", *loading(where))
    folder = str(store.path(ref).resolve()) if ref else None
    spec = {
        "variant": title,
        "key": subject,
        "adapter": folder if ref and ref.kind in ("adapter", "merge") else None,
        "step": step,
        "model": folder if ref and ref.kind == "model" else None,
        "base": where.to_json(),
        "benchmark": benchmark.name,
        "split": "test",
        "decoding": decoding,
        "seed": seed,
        "trained_tasks": trained,
        "data": source.to_json(),
    }
    needs = tuple(item for item in (made, ref) if item is not None)
    name = re.sub("[:/ ]", ".", f"{title}-on-{benchmark.name}".replace("[", "").replace("]", ""))
    cell = Ref(where.label, "cell", name, seed, key)
    cost = estimate.cell(decoding, benchmark.size, benchmark.method)
    return plan.add(Job(cell, "matrix", "factory.evaluation.score:build_cell", spec, tuple(dict.fromkeys(needs)), cost))


def _check_not_quantized(base: Base) -> None:
    config = Path(base.path) / "config.json"
    if config.is_file():
        refuse_quantized(read_json(config), base.path)


def loading(base: Base) -> tuple[str, ...]:
    """What of a base's loading is part of the identity of what is measured on it."""
    return () if base.quantization == FULL else (base.quantization,)


def _plan_gate(
    plan: Plan,
    study: Study,
    recipes: Mapping[str, AdapterRecipe],
    benchmarks: Mapping[str, Benchmark],
    source: Source,
) -> Ref | None:
    """The job that compares the benchmarks with all rows that any adapter of the study trains on."""
    training: dict[str, int | None] = {}
    for recipe in recipes.values():
        for task in recipe.tasks:
            known = training.get(task, 0)
            training[task] = None if known is None or recipe.train_rows is None else max(known, recipe.train_rows)
    if not training:
        return None
    spec: dict[str, Any] = {
        "training": dict(sorted(training.items())),
        "benchmarks": {
            name: study.decoding_of(name).limit
            for name, benchmark in sorted(benchmarks.items())
            if benchmark.method != LM_EVAL
        },
        "contamination": study.contamination.model_dump(),
        "data": source.to_json(),
    }
    identities = [
        {name: task_identity(name, source) for name in spec["training"]},
        {name: [benchmark.version, benchmark.fingerprint(source)] for name, benchmark in sorted(benchmarks.items())},
    ]
    ref = Ref("shared", "gate", study.study, 0, contamination.gate_key(spec, identities))
    return plan.add(Job(ref, "check", "factory.engine.contamination:build_gate", spec, cost=estimate.GATE_SECONDS))


class _SeedPlan:
    """The jobs of one seed of a study."""

    def __init__(self, store: Store, study: Study, plan: Plan, seed: int, source: Source, dry: bool) -> None:
        self.store, self.study, self.plan, self.seed, self.source = store, study, plan, seed, source
        base, made = plan_base(store, plan, study.base, seed, study.embedded, dry=dry)
        adapters = [study.recipe(name).quantization for name in study.adapters]
        if any(how != FULL for how in (study.quantization, *study.scored_on, *adapters)):
            _check_not_quantized(base)
        self.base = replace(base, quantization=study.quantization), made
        plan.bases[seed] = self.base[0]

    def run(self, recipes: Mapping[str, AdapterRecipe], benchmarks: Mapping[str, Benchmark]) -> None:
        """Adapters, merges, then the cells of every variant."""
        variants: list[tuple[str, Ref | None, list[str]]] = [("base", self.base[1], [])]
        # A study that wants to be refused is refused before anything is trained.
        gate = self.plan.gate if self.study.contamination.action == "refuse" else None
        adapters: dict[str, Ref] = {}
        for name in in_order(recipes):
            curve = self.study.curve_of(name)
            every = curve.every if curve and curve.every < recipes[name].max_steps else None
            where = f"study {self.study.study}, adapter {name}"
            teachers = {
                text: find_teacher(text, adapters, self.store, self.base[0], where)
                for text in teachers_of(recipes[name])
            }
            adapters[name] = plan_adapter(
                self.plan, name, recipes[name], self.base, self.seed, self.source, gate, every, teachers
            )
        variants += [(f"adapter:{name}", adapters[name], recipe.tasks) for name, recipe in recipes.items()]
        for name, merge in self.study.merges.items():
            trained = list(dict.fromkeys(task for adapter in merge.adapters for task in recipes[adapter].tasks))
            variants.append((f"merge:{name}", self._merge(name, merge, adapters, trained), trained))
        self.plan.variants += [(self.seed, title, ref) for title, ref, _ in variants]
        for quantization in dict.fromkeys([self.study.quantization, *self.study.scored_on]):
            for variant in variants:
                self._cells(variant, quantization, benchmarks)
        for name, recipe in recipes.items():
            self._curve(name, recipe, adapters[name], benchmarks)

    def _cells(
        self,
        variant: tuple[str, Ref | None, list[str]],
        quantization: Quantization,
        benchmarks: Mapping[str, Benchmark],
    ) -> None:
        """One variant on every benchmark, on its base loaded in one way."""
        title, ref, trained = variant
        base = replace(self.base[0], quantization=quantization), self.base[1]
        if quantization != self.study.quantization:
            title = on_loading(title, quantization)
        for name, benchmark in benchmarks.items():
            decoding = self.study.decoding_of(name, benchmark.decoding()).model_dump()
            where = base, (title, ref, trained), benchmark, decoding
            self.plan.cells.append(plan_cell(self.plan, self.store, *where, self.seed, self.source))

    def _curve(self, name: str, recipe: AdapterRecipe, adapter: Ref, benchmarks: Mapping[str, Benchmark]) -> None:
        """The cells of an adapter at the steps between; those of step 0 and of the last one are the matrix's."""
        curve = self.study.curve_of(name)
        if curve is None:
            return
        variant = (f"adapter:{name}", adapter, recipe.tasks)
        for step in range(curve.every, recipe.max_steps, curve.every):
            for benchmark in benchmarks.values():
                if curve.benchmarks is None or benchmark.name in curve.benchmarks:
                    decoding = self.study.curve_decoding(curve, benchmark.name, benchmark.decoding()).model_dump()
                    where = self.base, variant, benchmark, decoding
                    self.plan.points.append(plan_cell(self.plan, self.store, *where, self.seed, self.source, step))

    def _merge(self, name: str, merge: MergeSpec, adapters: Mapping[str, Ref], trained: list[str]) -> Ref:
        from factory.merging.build import merge_key
        from factory.merging.recipe import read_recipe

        recipe, _ = read_recipe(merge.recipe)
        parents = tuple(adapters[adapter] for adapter in merge.adapters)
        spec: dict[str, Any] = {
            "recipe": recipe.model_dump(exclude_none=True),
            "inputs": [
                {"title": ref.title, "folder": str(self.store.path(ref).resolve()), "key": ref.key} for ref in parents
            ],
            "weights": merge.weights,
            "rank": merge.rank,
            "seed": self.seed,
            # Adapters are merged for the full base, however it was loaded under them.
            "base": replace(self.base[0], quantization=FULL).to_json(),
        }
        key = merge_key(spec)
        needs = parents
        if merge.search is not None:
            search = self._search(name, merge, spec, parents, trained)
            key = key_of(key, "search", search.key)
            spec["search"] = search.to_json()
            needs = (*parents, search)
        ref = Ref(self.base[0].label, "merge", name, self.seed, key)
        return self.plan.add(Job(ref, "merges", "factory.analysis.search:build_merge", spec, needs, cost=1.0))

    def _search(
        self, name: str, merge: MergeSpec, spec: dict[str, Any], parents: tuple[Ref, ...], trained: list[str]
    ) -> Ref:
        from factory.analysis import search as weight_search
        from factory.merging.build import merge_key
        from factory.merging.contract import load_method

        assert merge.search is not None
        plain = merge.search.model_dump()
        # What a study says of the public benchmark gsm8k is not about the task of that name, which is searched on.
        decoding = {task: self.study.decoding_of(task_benchmark(task)).model_dump() for task in trained}
        tasks = {task: task_identity(task, self.source) for task in trained}
        versions = {method: load_method(method).CONTRACT.version for method in merge.search.methods}
        base = self.base[0]
        parts = merge_key(spec), plain, decoding, tasks, versions, self.seed, *loading(base)
        ref = Ref(base.label, "search", name, self.seed, key_of("search", weight_search.VERSION, *parts))
        full = {**spec, "search": plain, "tasks": trained, "decoding": decoding, "data": self.source.to_json()}
        full["base"] = base.to_json()
        run = "factory.analysis.search:build_search"
        needs = (*parents, self.base[1]) if self.base[1] else parents
        return self.plan.add(Job(ref, "merges", run, full, needs, cost=estimate.search(merge.search, len(trained))))


def task_identity(task: str, source: Source) -> list[Any]:
    """What makes a task's rows and verdicts what they are."""
    found = find_task(task)
    return [found.version, found.fingerprint(source), source_digest(task)]
