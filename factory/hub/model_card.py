"""The README of a repository: front matter, and a body from a template that a user can override."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from factory.analysis.table import percent, signed
from factory.core.errors import BadInput
from factory.core.lora import FULL
from factory.hub.front_matter import front_matter, licence_id
from factory.store.fetch import HUB_ID
from factory.store.ref import Ref
from factory.tasks._find import find_task

TEMPLATE = "model_card.md.j2"
PROJECT = "lora-factory"
_WAYS = {"sft": "SFT", "rejection": "rejection sampling and SFT", "distil": "distillation"}
"""How an adapter was trained, by its strategy; all others are ways of doing GRPO."""
_TAGS = {"GRPO": "grpo", "SFT": "sft", "rejection sampling and SFT": "sft", "distillation": "distillation"}
_RELATIONS = {"adapter": "adapter", "merge": "adapter", "model": "merge", "base": None}


def describe(
    ref: Ref,
    card: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
    *,
    repo: str,
    base: Mapping[str, Any] | None,
    licence: str | None,
    files: Collection[str],
    figures: Mapping[str, str],
    shape: Mapping[str, Any],
    parents: Mapping[str, str],
) -> dict[str, Any]:
    """Everything a card's template may use.

    Args:
        ref, card: of the variant; the card as it is published.
        repo: where it goes.
        base: `repo` and `revision` of the base on the Hub; None for a base.
        licence: of the whole, by the Hub's identifier.
        files: names of those that stand beside the README.
        figures: alternative text by file.
        shape: `rank`, `modules` and the like, of the weights.
        parents: repositories of the parents that are on the Hub, by key.
    """
    data = {name: told for name, told in (card.get("data") or {}).items() if isinstance(told, dict)}
    lineage = card.get("lineage") or {}
    for parent in lineage.values():
        data |= {name: told for name, told in (parent.get("data") or {}).items() if name not in data}
    tasks = list(card.get("trained_tasks") or [])
    data = {name: data[name] for name in data if name in tasks or not tasks}
    ways = _ways(card, lineage)
    return {
        "ref": ref,
        "card": card,
        "name": repo.rpartition("/")[2],
        "title": f"{ref.kind}:{ref.name}",
        "repo": repo,
        "base": base,
        "kind": ref.kind,
        "merged": ref.kind in ("merge", "model"),
        "ways": ways,
        "training": _training(card),
        "library": "peft" if ref.kind in ("adapter", "merge") else "transformers",
        "relation": _RELATIONS[ref.kind] if base else None,
        "license": licence,
        "languages": ["en"],
        "datasets": [origin for name in data if (origin := _origin(name)) is not None],
        "data": {name: {**told, "origin": _where_from(name)} for name, told in data.items()},
        "tasks": tasks,
        "tags": _tags(ref, card, base, ways),
        "evaluation": evaluation,
        "between": _between(card),
        "files": files,
        "figures": dict(figures),
        "shape": dict(shape),
        "lineage": lineage,
        "parents": [
            {"key": key, "title": lineage.get(key, {}).get("title", key), "repo": parents.get(key)}
            for key in card.get("parents") or []
        ],
    }


def render(about: Mapping[str, Any], template: Path | None = None) -> str:
    """The README's text.

    Args:
        about: as `describe` gave it.
        template: a user's own; it may extend `model_card.md.j2` and override its blocks.

    Raises:
        BadInput: the template cannot be read or used.
    """
    from jinja2 import ChainableUndefined, ChoiceLoader, Environment, FileSystemLoader, PackageLoader

    loaders: list[Any] = [PackageLoader("factory.hub", "templates")]
    name = TEMPLATE
    if template is not None:
        if not template.is_file():
            raise BadInput(f"--template {template}: no such file")
        loaders.append(FileSystemLoader(template.resolve().parent))
        name = template.name
        if name == TEMPLATE:
            loaders.reverse()
    # Chainable: cards of different kinds and ages have different fields, and what one lacks is left out.
    environment = Environment(
        loader=ChoiceLoader(loaders),
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters.update(percent=percent, signed=signed, cell=_cell)
    try:
        body = environment.get_template(name).render(**about)
    except Exception as error:  # a template can do whatever an expression can: divide by zero, add text to numbers
        if template is None:
            raise
        raise BadInput(f"--template {template}: {type(error).__name__}: {error}") from error
    return f"---\n{front_matter(about).to_yaml()}\n---\n\n{body.strip()}\n"


def template_text() -> str:
    """The usual template as it is shipped."""
    return (Path(__file__).parent / "templates" / TEMPLATE).read_text(encoding="utf-8")


def _ways(card: Mapping[str, Any], lineage: Mapping[str, Any]) -> list[str]:
    """How it, or whatever it was merged from, was trained: `GRPO`; empty where that is not known."""
    recipes = [told.get("recipe") or {} for told in (card, *lineage.values())]
    return sorted({_WAYS.get(recipe["strategy"], "GRPO") for recipe in recipes if recipe.get("strategy")})


def _training(card: Mapping[str, Any]) -> dict[str, str]:
    """An adapter's main settings by name, as far as its recipe has them."""
    recipe, versions = card.get("recipe") or {}, card.get("versions") or {}
    if not recipe.get("strategy"):
        return {}
    lora, strategy = recipe.get("lora") or {}, recipe["strategy"]
    samples, rewarded = strategy not in ("sft", "distil"), strategy not in _WAYS
    found = {
        "method": f"{_WAYS.get(strategy, 'GRPO')}, strategy `{strategy}`",
        "trainer": f"TRL {versions['trl']}" if versions.get("trl") else None,
        "optimizer steps": card.get("steps") or recipe.get("max_steps"),
        "prompts a step": recipe.get("prompts_per_step"),
        "completions a prompt": recipe.get("num_generations") if samples else None,
        "learning rate": recipe.get("learning_rate"),
        "KL weight": recipe.get("beta") if rewarded else None,
        "rewards": ", ".join(f"{part} {weight:g}" for part, weight in (recipe.get("rewards") or {}).items())
        if rewarded
        else None,
        "LoRA": f"rank {lora['r']}, alpha {lora.get('lora_alpha', lora['r']):g}" if lora.get("r") else None,
        "base loaded in": recipe["quantization"] if recipe.get("quantization") not in (None, FULL) else None,
        "seed": card.get("seed"),
    }
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def _between(card: Mapping[str, Any]) -> list[str]:
    """What a merge's inputs are to each other by their factors alone."""
    pairs = list((((card.get("interference") or {}).get("overall") or {}).get("pairs") or {}).values())
    known = [pair for pair in pairs if {"cosine", "sign_conflict", "sign_conflict_chance"} <= pair.keys()]
    if not known:
        return []
    cosines, conflicts, chances = (
        [pair[name] for pair in known] for name in ("cosine", "sign_conflict", "sign_conflict_chance")
    )
    return [
        f"between the adapters' updates: cosine {_range(cosines, 3)}; opposite signs in "
        f"{_range([100 * share for share in conflicts], 0)} % of the entries, "
        f"{_range([100 * share for share in chances], 0)} % by chance"
    ]


def _range(values: list[float], digits: int) -> str:
    ends = dict.fromkeys(f"{value:.{digits}f}" for value in (min(values), max(values)))
    return " to ".join(ends)


def _tags(ref: Ref, card: Mapping[str, Any], base: Mapping[str, Any] | None, ways: list[str]) -> list[str]:
    tags = [PROJECT]
    if ref.kind in ("adapter", "merge"):
        tags.append("lora")
    if ways:
        tags += ["trl", *dict.fromkeys(_TAGS[way] for way in ways)]
    if ref.kind in ("merge", "model"):
        tags.append("merge")
        if card.get("method"):
            tags.append(str(card["method"]))
    if base and ref.kind in ("adapter", "merge"):
        tags.append(f"base_model:adapter:{base['repo']}")
    elif base:
        tags.append(f"base_model:merge:{base['repo']}")
    return tags


def _where_from(task: str) -> str | None:
    """Where a task's rows come from, in words; None for one that is not beside this command."""
    try:
        found = find_task(task)
    except BadInput:
        return None
    # A user's file is a place on this machine.
    return "a file of the author's" if found.local or found.origin.startswith("/") else found.origin


def _origin(task: str) -> str | None:
    """The Hub's id of a task's dataset, if it comes from there."""
    origin = _where_from(task)
    return origin if origin and HUB_ID.match(origin) and not origin.startswith("github.com/") else None


def licence_of(card: Mapping[str, Any], base_licence: str | None, asked: str | None) -> tuple[str | None, list[str]]:
    """The licence a variant is published under: the one asked for, else its base's; and what a publisher must know.

    Of an adapter made elsewhere it is its author's to say.

    Weights trained on rows are not plainly a work derived from them, so the rows' licences are told, not imposed.
    """
    warnings = []
    data = dict(card.get("data") or {})
    for parent in (card.get("lineage") or {}).values():
        data |= parent.get("data") or {}
    for task, told in sorted(data.items()):
        text = (told.get("licence") or "") if isinstance(told, dict) else ""
        known = licence_id(text)
        if not text:
            warnings.append(f"the licence of task {task}'s rows is not known")
        elif known is None or "-nc" in known or "-sa" in known:
            warnings.append(f"task {task}'s rows are {text}: see whether that allows what you publish")
    made_elsewhere = bool(card.get("unknown"))
    licence = asked or (card.get("licence") if made_elsewhere else base_licence)
    if licence is None and made_elsewhere:
        warnings.append(f"{card.get('origin')} does not say its licence, so the card has none; give --license ID")
    elif licence is None:
        warnings.append("the base's licence is not known, so the card has none; give --license ID")
    return licence, warnings


def _cell(result: Mapping[str, Any] | None) -> str:
    """`84.2 [79.1, 88.3]`, in %; an interval is not broken over two lines."""
    if not result:
        return "–"
    return f"{percent(result['value'])} [{percent(result['low'])},&nbsp;{percent(result['high'])}]"
