"""The rows of known datasets, as their sources have them, turned into what the verifiers take.

`verifier_for(name, ...)` gives a function from (completion, row) to a verdict. Known: the datasets in `FIELDS`. A row
that lacks a field, or has something else in it, is refused by name. Where a row brings its own gold program (MBPP's
`code`, HumanEval's `canonical_solution`) and a completion fails, the gold one must pass: else the row is at fault.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.verifiers._fields import FIELDS, checked

__all__ = ["FIELDS", "Options", "verifier_for"]

VerifyRow = Callable[[str, Mapping[str, Any]], Verdict]
LONGEST_NAME = 255


@dataclass(frozen=True)
class Options:
    """What the user may say about a check.

    Attributes:
        databases: folder with `<db_id>/*.sqlite`, for SQL; all files of one folder are one test suite.
        keep_distinct: whether DISTINCT counts in SQL.
        timeout_seconds: limit of one check; None for the verifier's own.
    """

    databases: Path | None = None
    keep_distinct: bool = False
    timeout_seconds: float | None = None


def verifier_for(name: str, options: Options) -> VerifyRow:
    """The check of a dataset's rows.

    Raises:
        BadInput: an option that the dataset needs is missing, or (when called) a row lacks a field.
    """
    if name == "spider" and options.databases is None:
        raise BadInput("spider needs its databases: give --databases DIR, holding <db_id>/<db_id>.sqlite")
    if name == "spider" and options.databases is not None and not options.databases.is_dir():
        raise BadInput(f"--databases {options.databases}: no such folder; it should hold <db_id>/<db_id>.sqlite")
    check: VerifyRow = _CHECKS[name](options)
    return lambda completion, row: check(completion, checked(name, row))


def _limited(reference: dict[str, Any], options: Options) -> dict[str, Any]:
    if options.timeout_seconds is not None:
        reference["seconds"] = options.timeout_seconds
    return reference


def _program(completion: str, reference: dict[str, Any], gold: str | None, options: Options) -> Verdict:
    """Check a program; a failure counts only if the row's own gold program, where there is one, does not fail too."""
    from factory.verifiers import python

    verdict = python.verify(completion, _limited(reference, options))
    if verdict.correct is False and gold:
        why = _gold_fails(gold, json.dumps(reference, sort_keys=True))
        if why:
            raise BadInput(f"the row's own gold program fails its tests: {why}")
    return verdict


@lru_cache(maxsize=4096)
def _gold_fails(gold: str, reference: str) -> str:
    """Why a gold program fails, "" if it passes or only takes too long for the user's limit."""
    from factory.verifiers import python

    verdict = python.verify(gold, json.loads(reference))
    late = verdict.reason.startswith(("timed out", "used more than"))
    return verdict.reason if verdict.correct is False and not late else ""


def _mbpp(options: Options) -> VerifyRow:
    def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
        setup, imports = row.get("test_setup_code") or "", row.get("test_imports") or ()
        reference = {"tests": row["test_list"], "setup": setup, "imports": imports}
        return _program(completion, reference, row.get("code"), options)

    return verify


def _humaneval(options: Options) -> VerifyRow:
    def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
        reference = {"check": row["test"], "entry_point": row["entry_point"], "prompt": row["prompt"]}
        return _program(completion, reference, row.get("canonical_solution"), options)

    return verify


def _spider(options: Options) -> VerifyRow:
    from factory.verifiers import sql

    folder = options.databases or Path()

    def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
        name = str(row["db_id"])
        if Path(name).name != name or len(name.encode(errors="replace")) > LONGEST_NAME or "\0" in name:
            raise BadInput(f"db_id {name[:LONGEST_NAME]!r} is no plain folder name")
        files = sorted((folder / name).glob("*.sqlite"))
        if not files:
            raise BadInput(f"no database {folder / name / name}.sqlite; is --databases the right folder?")
        reference = {"query": row["query"], "databases": files, "keep_distinct": options.keep_distinct}
        return sql.verify(completion, _limited(reference, options))

    return verify


def _math(options: Options) -> VerifyRow:
    from factory.verifiers import math

    return lambda completion, row: math.verify(completion, _limited({"answer": row["answer"]}, options))


def _gsm8k(_options: Options) -> VerifyRow:
    from factory.verifiers import numeric

    return lambda completion, row: numeric.verify(completion, {"answer": row["answer"], "style": "hashes"})


def _puzzle(kind: str) -> Callable[[Options], VerifyRow]:
    def make(_options: Options) -> VerifyRow:
        check: VerifyRow = import_module(f"factory.verifiers.{kind}").verify
        return check

    return make


_CHECKS: dict[str, Callable[[Options], VerifyRow]] = {
    "arc_1d": _puzzle("grid"),
    "countdown": _puzzle("countdown"),
    "gsm8k": _gsm8k,
    "humaneval": _humaneval,
    "math": _math,
    "mbpp": _mbpp,
    "spider": _spider,
    "zebra": _puzzle("name"),
}
