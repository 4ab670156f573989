"""The rows of known datasets, as their sources have them, turned into what the verifiers take.

`verifier_for(name, ...)` gives a function from (completion, row) to a verdict. Known: the datasets in `FIELDS`; a row
that lacks a field is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict

VerifyRow = Callable[[str, Mapping[str, Any]], Verdict]

FIELDS: dict[str, tuple[str, ...]] = {
    "arc_1d": ("ground_truth",),
    "countdown": ("ground_truth",),
    "gsm8k": ("answer",),
    "humaneval": ("prompt", "test", "entry_point"),
    "math": ("answer",),
    "mbpp": ("test_list",),
    "spider": ("db_id", "query"),
    "zebra": ("ground_truth",),
}


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
    fields = FIELDS[name]
    check: VerifyRow = _CHECKS[name](options)

    def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
        missing = [field for field in fields if row.get(field) in (None, "", [])]
        if missing:
            raise BadInput(f"the row lacks {', '.join(missing)}; a {name} row has {', '.join(fields)}")
        return check(completion, row)

    return verify


def _limited(reference: dict[str, Any], options: Options) -> dict[str, Any]:
    if options.timeout_seconds is not None:
        reference["seconds"] = options.timeout_seconds
    return reference


def _mbpp(options: Options) -> VerifyRow:
    from factory.verifiers import python

    def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
        setup, imports = row.get("test_setup_code") or "", row.get("test_imports") or ()
        reference = {"tests": row["test_list"], "setup": setup, "imports": imports}
        return python.verify(completion, _limited(reference, options))

    return verify


def _humaneval(options: Options) -> VerifyRow:
    from factory.verifiers import python

    def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
        reference = {"check": row["test"], "entry_point": row["entry_point"], "prompt": row["prompt"]}
        return python.verify(completion, _limited(reference, options))

    return verify


def _spider(options: Options) -> VerifyRow:
    from factory.verifiers import sql

    folder = options.databases or Path()

    def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
        name = str(row["db_id"])
        if Path(name).name != name:
            raise BadInput(f"db_id {name!r} is no plain folder name")
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
        from importlib import import_module

        check = import_module(f"factory.verifiers.{kind}").verify

        def verify(completion: str, row: Mapping[str, Any]) -> Verdict:
            truth = row["ground_truth"]
            if not isinstance(truth, Mapping):
                raise BadInput(f"'ground_truth' should be an object, got {type(truth).__name__}")
            verdict: Verdict = check(completion, truth)
            return verdict

        return verify

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
