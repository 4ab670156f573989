"""The README of a repository: front matter, and a body from a template that a user can override."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from factory.analysis.table import percent, signed
from factory.core.errors import BadInput
from factory.hub.front_matter import front_matter, licence_id
from factory.store.fetch import HUB_ID
from factory.store.ref import Ref
from factory.tasks._find import find_task

TEMPLATE = "model_card.md.j2"
PROJECT = "lora-factory"
_RELATIONS = {"adapter": "adapter", "merge": "adapter", "model": "merge", "base": None}


def describe(
    ref: Ref,
    card: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
    *,
    repo: str,
    base: Mapping[str, Any] | None,
    licence: str | None,
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
    merged = ref.kind in ("merge", "model")
    return {
        "ref": ref,
        "card": card,
        "name": repo.rpartition("/")[2],
        "title": f"{ref.kind}:{ref.name}",
        "repo": repo,
        "base": base,
        "kind": ref.kind,
        "merged": merged,
        "library": "peft" if ref.kind in ("adapter", "merge") else "transformers",
        "relation": _RELATIONS[ref.kind] if base else None,
        "license": licence,
        "languages": ["en"],
        "datasets": [origin for name in data if (origin := _origin(name)) is not None],
        "data": {name: {**told, "origin": _where_from(name)} for name, told in data.items()},
        "tasks": tasks,
        "tags": _tags(ref, card, base),
        "evaluation": evaluation,
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
    from jinja2 import ChainableUndefined, ChoiceLoader, Environment, FileSystemLoader, PackageLoader, TemplateError

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
    except TemplateError as error:
        raise BadInput(f"--template {template or name}: {type(error).__name__}: {error}") from error
    return f"---\n{front_matter(about).to_yaml()}\n---\n\n{body.strip()}\n"


def template_text() -> str:
    """The usual template as it is shipped."""
    return (Path(__file__).parent / "templates" / TEMPLATE).read_text(encoding="utf-8")


def _tags(ref: Ref, card: Mapping[str, Any], base: Mapping[str, Any] | None) -> list[str]:
    tags = [PROJECT]
    if ref.kind in ("adapter", "merge"):
        tags.append("lora")
    if ref.kind != "base":
        tags += ["trl", "grpo"]
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
    licence = asked or base_licence
    if licence is None:
        warnings.append("the base's licence is not known, so the card has none; give --license ID")
    return licence, warnings


def _cell(result: Mapping[str, Any] | None) -> str:
    """`84.2 [79.1, 88.3]`, in %."""
    if not result:
        return "–"
    return f"{percent(result['value'])} [{percent(result['low'])}, {percent(result['high'])}]"
