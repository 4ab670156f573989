"""Every verifier against its table of completions, ours and the shared ones; twice, since a verdict never changes."""

import json
import os
from importlib import import_module
from pathlib import Path

import pytest

from factory.sandbox import probe

TABLES = Path(__file__).parent / "cases"
ISOLATED = {"python", "sql", "math"}
TIMES = {"python": 1, "math": 1}


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def cases():
    for path in sorted(TABLES.glob("*.jsonl")):
        needs = pytest.mark.skipif(path.stem in ISOLATED and not probe().usable, reason="no usable sandbox here")
        for place, row in enumerate(rows(path)):
            yield pytest.param(path.stem, row, id=f"{path.stem}-{place}", marks=needs)


@pytest.mark.parametrize("verifier, row", cases())
def test_our_cases(verifier: str, row: dict) -> None:
    verify = import_module(f"factory.verifiers.{verifier}").verify
    for _ in range(TIMES.get(verifier, 2)):
        verdict = verify(row["completion"], row["reference"])
        assert verdict.correct is (row["expect"] == "accept"), verdict
        assert verdict.score == float(verdict.correct)
        assert all(0 <= value <= 1 for value in verdict.components.values())
        assert len(verdict.reason.encode()) < 65536


def shared(name: str) -> list[dict]:
    folder = os.environ.get("FACTORY_CASES")
    return rows(Path(folder) / f"{name}.jsonl") if folder else []


def named(found: list[dict]):
    return [pytest.param(row, id=row["id"]) for row in found if row["kind"] != "schema"]


@pytest.mark.skipif(not shared("math"), reason="FACTORY_CASES is not set")
@pytest.mark.parametrize("row", named(shared("math")))
def test_shared_math(row: dict) -> None:
    from factory.verifiers import math

    verdict = math.verify(row["completion"], {"answer": row["gold"]})
    assert verdict.correct is (row["expect"] == "accept"), verdict
    limit = next((one["value"] for one in row["must_not"] if one["check"] == "wall_seconds_over"), 12)
    assert verdict.seconds < limit


@pytest.mark.skipif(not shared("sql"), reason="FACTORY_CASES is not set")
@pytest.mark.parametrize("row", named(shared("sql")))
def test_shared_sql(row: dict) -> None:
    from factory.verifiers import sql

    reference = {"query": row["gold"], "schema": shared("sql")[0]["sql"]}
    verdict = sql.verify(row["pred"], reference)
    assert verdict.correct is (row["expect"] == "accept"), verdict
    assert verdict.seconds < 15
    assert sql.verify(row["gold"], reference).correct, "the next sample is broken"


@pytest.mark.parametrize("verifier", sorted(path.stem for path in TABLES.glob("*.jsonl")))
@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\ud800", "x" * 3_000_000, "{" * 50_000, "\\boxed{" * 20_000, "```\n" * 20_000,

        "9" * 100_000,
        "<answer>" * 50_000, "<think>" * 50_000 + "</think>" * 50_000, "\U0001f600" * 1000, "#### " * 20_000],
    ids=lambda text: f"{text[:8]!r}",
)  # fmt: skip
def test_no_text_raises_or_takes_long(verifier: str, text: str) -> None:
    if verifier in ISOLATED and not probe().usable:
        pytest.skip("no usable sandbox here")
    row = rows(TABLES / f"{verifier}.jsonl")[0]
    verdict = import_module(f"factory.verifiers.{verifier}").verify(text, row["reference"])
    assert verdict.correct is False and verdict.seconds < 15
