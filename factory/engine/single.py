"""Parts of a study without its file: one base, some adapters, some cells."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from factory.analysis.protocol import told
from factory.benchmarks._benchmark import load_benchmark
from factory.core import discover
from factory.core.config import parse, with_overrides
from factory.core.errors import BadInput
from factory.core.lora import FULL, Quantization
from factory.core.recipes import EmbeddedRecipe, adapter_recipe, on_base
from factory.core.study import Decoding
from factory.engine.catalogue import source_of
from factory.engine.local import run_jobs
from factory.engine.plan import Job, Plan, check_benchmark, check_recipe, plan_adapter, plan_base, plan_cell
from factory.engine.teachers import find_teacher, in_order, teachers_of
from factory.engine.watch import watching
from factory.models.bases import Base
from factory.models.quantize import check_quantization
from factory.store.find import find
from factory.store.ref import Ref, on_loading
from factory.store.store import Store

GENERAL = {"samples": 4, "temperature": 1.0, "greedy": True, "max_new_tokens": 40, "limit": 200}
"""How variants are scored where neither the benchmark nor the user says otherwise."""
EMBEDDED_TASKS = ("tiny_math", "tiny_sql", "tiny_python", "tiny_ops")


@dataclass(frozen=True)
class Single:
    """Some jobs, and the refs that were asked for."""

    store: Store
    plan: Plan
    wanted: list[Ref]


def build_base(store: Path, seed: int) -> dict[str, Any]:
    """Build the embedded base unless it is there; gives what to say of it."""
    place, plan = Store(store), Plan()
    _, ref = plan_base(place, plan, "embedded", seed, EmbeddedRecipe())
    assert ref is not None
    _run(Single(place, plan, [ref]), 1, force=False)
    card = place.card(ref)
    return {
        "title": ref.title,
        "path": str(place.path(ref)),
        "key": ref.key,
        "parameters": card["metrics"]["parameters"],
        "cpu_seconds": card["cost"]["cpu_seconds"],
    }


def plan_adapters(
    store: Path, names: Sequence[str], base: str, seed: int, settings: Sequence[str], data: Path | None,
    processes: int = 1,
) -> Single:  # fmt: skip
    """Adapters by recipe name, with overrides for all of them.

    Raises:
        UnknownName, BadInput: what is wrong, in one line.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise BadInput("started by torchrun: factory starts its processes itself; use 'factory train --processes N'")
    place, plan, source = Store(store), Plan(), source_of(data)
    discover.set_user_root(Path())
    overrides = with_overrides({}, settings)
    recipes = {
        Path(name).stem: on_base(adapter_recipe(name, overrides), FULL, f"adapter {Path(name).stem}") for name in names
    }
    for name, recipe in recipes.items():
        check_recipe(name, recipe, source)
    where = plan_base(place, plan, base, seed, EmbeddedRecipe())
    made: dict[str, Ref] = {}
    for name in in_order(recipes):
        told = f"adapter {name}"
        teachers = {text: find_teacher(text, made, place, where[0], told) for text in teachers_of(recipes[name])}
        made[name] = plan_adapter(
            plan, name, recipes[name], where, seed, source, teachers=teachers, processes=processes
        )
    return Single(place, plan, [made[name] for name in recipes])


def plan_cells(
    store: Path,
    variants: Sequence[str],
    benchmarks: Sequence[str],
    base: str | None,
    asked: Mapping[str, Any],
    seed: int,
    data: Path | None,
    quantization: Quantization | None = None,
) -> Single:
    """Cells of variants that are in the store; without variants, of a base and everything built on it.

    Args:
        asked: fields of `Decoding` that the user gave, over what the benchmarks pin.
        quantization: how bases are loaded; None is as each adapter was trained, and full where it is no adapter.

    Raises:
        UnknownName, BadInput: what is wrong, in one line.
    """
    place, plan, source = Store(store), Plan(), source_of(data)
    discover.set_user_root(Path())
    found = [load_benchmark(name, "--benchmark") for name in benchmarks or EMBEDDED_TASKS]
    decodings = {}
    for benchmark in found:
        options = parse(Decoding, {**GENERAL, **benchmark.decoding(), **asked}, f"--benchmark {benchmark.name}")
        check_benchmark(benchmark, options, source, "--benchmark")
        decodings[benchmark.name] = options.model_dump()
    wanted = []
    for title, where, ref, trained in _subjects(place, plan, variants, base, seed, quantization):
        for benchmark in found:
            how = where[0].quantization
            subject = (title if how == FULL else on_loading(title, how), ref, trained)
            wanted.append(plan_cell(plan, place, where, subject, benchmark, decodings[benchmark.name], seed, source))
    return Single(place, plan, wanted)


def run_single(single: Single, *, workers: int, force: bool = False, dry_run: bool = False) -> tuple[Any, str]:
    """Run what is missing; gives the result for programs and for people."""
    todo = _todo(single, force)
    if not dry_run:
        _run(single, workers, force)
    items = []
    for ref in single.wanted:
        state = "to build" if dry_run and any(job.ref == ref for job in todo) else "there"
        item: dict[str, Any] = {"title": ref.title, "key": ref.key, "state": state}
        if not dry_run:
            card = single.store.card(ref)
            item |= {"path": str(single.store.path(ref)), "cost": card["cost"], "metrics": card.get("metrics")}
            if card.get("warning"):
                item["warning"] = card["warning"]
            if ref.kind == "cell":
                item |= {"variant": card["variant"], "benchmark": card["benchmark"], "chance": card["chance"]}
                item |= {"items": card["data"]["items"], "protocol": told(card["decoding"], card["method"])}
        items.append(item)
    cost = round(sum(job.cost for job in todo), 1)
    result = {"built": 0 if dry_run else len(todo), "to_build": len(todo) if dry_run else 0, "items": items}
    lines = [_line(item) for item in items]
    lines += [f"warning: {item['title']}: {item['warning']}" for item in items if "warning" in item]
    lines.append(f"{len(todo)} to build, about {cost:g} CPU-seconds" if dry_run else f"built {len(todo)}")
    return result, "\n".join(lines)


def _line(item: Mapping[str, Any]) -> str:
    if "variant" not in item:
        return f"{item['title']:<40} {item.get('path', item['state'])}"
    numbers = item["metrics"]
    shown = "  ".join(f"{name} {numbers[name]:.3f}" for name in ("sampled", "greedy") if numbers[name] is not None)
    shown += "".join(f"  {name} {value:.3f}" for name, value in numbers.get("others", {}).items() if value is not None)
    chance = f"  (chance {item['chance']:.2f})" if item["chance"] is not None else ""
    return f"{item['variant']:<24} {item['benchmark']:<14} {shown}{chance}  ({item['items']} items; {item['protocol']})"


def _todo(single: Single, force: bool) -> list[Job]:
    again = set(single.wanted) if force else set()
    return [job for job in single.plan.jobs if job.ref in again or not single.store.has(job.ref)]


def _run(single: Single, workers: int, force: bool) -> None:
    todo = _todo(single, force)
    for job in todo:
        if single.store.has(job.ref):
            single.store.remove(job.ref)
    with watching(single.store, len(todo)) as watcher:
        run_jobs(single.store, todo, watcher, workers)


def _subjects(
    store: Store,
    plan: Plan,
    variants: Sequence[str],
    base: str | None,
    seed: int,
    quantization: Quantization | None = None,
) -> list[tuple[str, tuple[Base, Ref | None], Ref | None, list[str]]]:
    """(title, base, ref, trained tasks) of each variant; a variant of the store brings its own base.

    `base` is the one asked for, else that of the other variants, else the one built last, else the embedded one.
    It is loaded as asked, else as the adapter was trained.
    """
    check_quantization(quantization or FULL, "--quantization")
    asked = plan_base(store, plan, base, seed, EmbeddedRecipe()) if base is not None else None
    label = asked[0].label if asked else None
    stored = {text: find(store, text, base=label) for text in variants if text != "base"}
    bases = {text: _base_of(store, ref, asked) for text, ref in stored.items()}
    own = asked or next(iter(bases.values()), None) or _built_last(store, seed)
    own = own or plan_base(store, plan, "embedded", seed, EmbeddedRecipe())
    if not variants:
        made = [ref for kind in ("adapter", "merge") for ref in store.refs(kind) if ref.base == own[0].label]
        stored = {ref.title: find(store, ref.title) for ref in made}
        bases = dict.fromkeys(stored, own)
        variants = ["base", *stored]
    subjects: list[tuple[str, tuple[Base, Ref | None], Ref | None, list[str]]] = []
    for text in variants:
        if text == "base":
            where = replace(own[0], quantization=quantization or FULL)
            subjects.append(("base", (where, own[1]), own[1], []))
        else:
            ref, card = stored[text], store.card(stored[text])
            how = quantization or (card.get("quantization") or {}).get("kind") or FULL
            check_quantization(how, ref.title)
            where = replace(bases[text][0], quantization=how)
            subjects.append(
                (f"{ref.kind}:{ref.name}", (where, bases[text][1]), ref, list(card.get("trained_tasks", [])))
            )
    return subjects


def _built_last(store: Store, seed: int) -> tuple[Base, Ref | None] | None:
    """The base in the store that was built last, one of this seed before others."""
    made = list(store.refs("base"))
    made = [ref for ref in made if ref.seed == seed] or made
    if not made:
        return None
    ref = max(made, key=lambda one: store.path(one).stat().st_mtime_ns)
    return Base(ref.base, str(store.path(ref).resolve()), None, ref.key), ref


def _base_of(store: Store, ref: Ref, asked: tuple[Base, Ref | None] | None) -> tuple[Base, Ref | None]:
    """The base a stored variant was made on.

    Raises:
        BadInput: it is not in the store, or another one was asked for.
    """
    card = store.card(ref)["base"]
    if asked is not None:
        if card["hash"] not in (None, asked[0].hash):  # None: an adapter made elsewhere, which does not say
            raise BadInput(
                f"{ref.title} was made on base {card.get('label') or ref.base}, not on {asked[0].label}{_on_hub(card)}"
            )
        return asked
    for made in store.refs("base"):
        if made.key == card["hash"]:
            return Base(made.base, str(store.path(made).resolve()), None, made.key), made
    raise BadInput(f"{ref.title} was made on a base that is not in the store; name it with --base{_on_hub(card)}")


def _on_hub(base: Mapping[str, Any]) -> str:
    """Where the base of something pulled is; the embedded one is known by its content key, so it is pulled too."""
    if not base.get("repo"):
        return ""
    at = f"{base['repo']}@{base['revision']}" if base.get("revision") else base["repo"]
    embedded = str(base.get("label")).startswith("embedded")
    return f"; 'factory pull {at}' brings it" if embedded else f" {at}"


def subjects_of(
    store: Path, variants: Sequence[str], base: str | None, seed: int, quantization: Quantization | None = None
) -> dict[str, dict[str, Any]]:
    """What is needed to load each variant, by the name it was asked for: see `factory.evaluation.answer`.

    Raises:
        UnknownName: a variant that is not in the store.
        BadInput: the embedded base has not been built yet.
    """
    place, plan = Store(store), Plan()
    found = {}
    subjects = _subjects(place, plan, variants, base, seed, quantization)
    for text, (_, where, ref, _) in zip(variants, subjects, strict=True):
        made = where[1]
        if made is not None and not place.has(made):
            raise BadInput(f"the base {made.title} is not in {store}; build it with 'factory base --seed {made.seed}'")
        folder = str(place.open(ref)) if ref and ref.kind != "base" else None
        found[text] = {
            "base": where[0].to_json(),
            "adapter": folder if ref and ref.kind in ("adapter", "merge") else None,
            "model": folder if ref and ref.kind == "model" else None,
        }
    return found
