"""`factory report` as a library call: rebuild a study's report and say what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from factory.analysis.overview import overview
from factory.report.build import NUMBERS, build_report, find_study
from factory.store.store import Store


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was written, for a program (`result`) and for a person (`text`)."""

    result: dict[str, Any]
    text: str


def rebuild(store: Store, study: str | None = None) -> Rebuilt:
    """Rebuild the report of a study that has run; the most recently run one if none is named.

    Raises:
        UnknownName: no study of that name has run in this store.
        BadInput: none has run at all.
        CorruptFile, StoreError: as `build_report`.
    """
    folder = find_study(store, study)
    page = build_report(store, folder)
    whole = overview(store, folder)
    result = {"report": str(page), "numbers": str(folder / NUMBERS), **whole.numbers}
    return Rebuilt(result, f"{whole.text}\n\nreport: {page}")
