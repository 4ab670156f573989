"""From what the command line says to a plan, and from the plan to the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from factory.core import discover
from factory.core.config import parse, read_yaml, with_overrides
from factory.core.errors import BadInput
from factory.core.recipes import find_recipe
from factory.core.study import Study
from factory.engine.catalogue import source_of
from factory.engine.plan import Plan, plan_study
from factory.engine.run import Result, run_plan
from factory.store.store import Store


@dataclass(frozen=True)
class Prepared:
    """A study that has been read, changed as asked, planned and checked; nothing has been run.

    Attributes:
        missing: of a dry run, why rows cannot be had now, by task.
    """

    store: Store
    study: Study
    plan: Plan
    user_root: Path
    missing: Mapping[str, str] = field(default_factory=dict)


def prepare(
    store: Path, name: str, settings: Sequence[str], changes: Mapping[str, Any], data: Path | None, *, dry: bool = False
) -> Prepared:
    """Read a study and plan it.

    Args:
        name: a file, or the name of one that is found.
        settings: `key.path=value` overrides.
        changes: `base`, `seeds` ("0,1,2") and `limit` (items of each benchmark); None leaves the study's own.
        data: the offline mirror.
        dry: whether nothing is going to be run.

    Raises:
        UnknownName, BadInput: what is wrong, in one line.
    """
    path = find_recipe("study", name)
    plain = with_overrides(read_yaml(path), settings)
    if changes.get("base") is not None:
        plain["base"] = changes["base"]
    if changes.get("seeds") is not None:
        plain["seeds"] = _seeds(changes["seeds"])
    if changes.get("limit") is not None:
        plain["decoding"] = {**(plain.get("decoding") or {}), "limit": changes["limit"]}
        benchmarks = plain.get("benchmarks")
        if isinstance(benchmarks, dict):
            plain["benchmarks"] = {
                key: {k: v for k, v in (over or {}).items() if k != "limit"} for key, over in benchmarks.items()
            }
    study = parse(Study, plain, str(path))
    source = replace(source_of(data), dry=dry)
    user_root = path.resolve().parent
    if user_root.name == "studies":
        user_root = user_root.parent
    discover.set_user_root(user_root)
    place = Store(store)
    return Prepared(place, study, plan_study(place, study, source, dry=dry), user_root, source.missing)


def run_prepared(prepared: Prepared, *, workers: int, only: str | None = None, force: Sequence[str] = ()) -> Result:
    """Run what is missing; see `run_plan`."""
    return run_plan(
        prepared.store,
        prepared.study,
        prepared.plan,
        workers=workers,
        only=only,
        force=force,
        user_root=prepared.user_root,
    )


def _seeds(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(f"--seeds {text}: expected whole numbers with commas between, as 0,1,2") from None
