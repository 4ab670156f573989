"""Real rows: golds are accepted, stubs and empty texts are not, other rows' answers only where they are equal."""

import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest

from factory.sandbox import probe
from factory.verifiers import _extract, countdown, grid, math, name, numeric, python, sql

DATA = Path(os.environ.get("FACTORY_DATA", ""))

pytestmark = [
    pytest.mark.skipif("FACTORY_DATA" not in os.environ, reason="FACTORY_DATA is not set"),
    pytest.mark.skipif(not probe().usable, reason="no usable sandbox on this machine"),
]


def lines(path: str) -> list[dict]:
    file = DATA / path
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def whole(path: str) -> list[dict]:
    file = DATA / path
    return json.loads(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes())


def humaneval() -> list[tuple[str, dict]]:
    return [
        (row["canonical_solution"], {"check": row["test"], "entry_point": row["entry_point"], "prompt": row["prompt"]})
        for row in lines("humaneval/HumanEval.jsonl.gz")
    ]


def mbpp() -> list[tuple[str, dict]]:
    return [
        (row["code"], {"tests": row["test_list"], "setup": row["test_setup_code"]}) for row in lines("mbpp/mbpp.jsonl")
    ]


def sanitized() -> list[tuple[str, dict]]:
    rows = whole("mbpp/sanitized-mbpp.json")
    return [(row["code"], {"tests": row["test_list"], "imports": row["test_imports"]}) for row in rows]


def spider(**options) -> list[tuple[str, dict]]:
    found = []
    for row in whole("spider/dev.json.gz"):
        files = sorted((DATA / "spider/database" / row["db_id"]).glob("*.sqlite"))
        if files:
            found.append((row["query"], {"query": row["query"], "databases": files, **options}))
    return found


def gsm8k() -> list[tuple[str, dict]]:
    rows = lines("gsm8k/test.jsonl") + lines("gsm8k/train.jsonl.gz")
    return [(row["answer"], {"answer": row["answer"]}) for row in rows]


def math_rows() -> list[tuple[str, dict]]:
    test = [(row["chain_of_thought"], row["answer"]) for row in lines("math/math_test_answers.jsonl.gz")]
    train = [(f"So \\boxed{{{row['answer']}}}.", row["answer"]) for row in whole("math/math_train_7474.json.gz")]
    boxed = [(text if _extract.last_boxed(text) else f"\\boxed{{{gold}}}", gold) for text, gold in test]
    return [(text, {"answer": gold}) for text, gold in boxed + train if gold]  # four train rows have none


def all_verdicts(verify, pairs) -> list:
    with ThreadPoolExecutor(4) as executor:
        return list(executor.map(lambda pair: verify(*pair), pairs))


@pytest.mark.parametrize(
    "rows, verify, count",
    [(humaneval, python.verify, 164), (mbpp, python.verify, 974), (sanitized, python.verify, 427),
     (spider, sql.verify, 523), (gsm8k, numeric.verify, 8792), (math_rows, math.verify, 12470)],
)  # fmt: skip
def test_every_gold_answer_is_accepted(rows, verify, count: int) -> None:
    pairs = rows()
    verdicts = all_verdicts(verify, pairs)
    assert len(verdicts) == count
    rejected = [(pairs[place][0][-80:], one) for place, one in enumerate(verdicts) if one.correct is not True]
    assert rejected == []


def test_spider_golds_with_distinct_kept() -> None:
    verdicts = all_verdicts(sql.verify, spider(keep_distinct=True))
    assert [one for one in verdicts if one.correct is not True] == []


@pytest.mark.parametrize("rows", [humaneval, mbpp, sanitized])
def test_stubs_and_empty_completions_score_nothing(rows) -> None:
    tried = []
    for _, reference in rows():
        entry = python.entry_of(reference)
        for stub in (f"def {entry}(*a, **k):\n    pass\n", "    pass\n" if "prompt" in reference else "pass", ""):
            tried.append((stub, reference))
    passed = [
        pair for pair, verdict in zip(tried, all_verdicts(python.verify, tried), strict=True) if verdict.score != 0
    ]
    assert passed == []


def test_empty_answers_score_nothing_elsewhere() -> None:
    for rows, verify in ((spider, sql.verify), (gsm8k, numeric.verify), (math_rows, math.verify)):
        for empty in ("", "```\n```", "\\boxed{}", "#### "):
            verdicts = [verify(empty, reference) for _, reference in rows()[:200]]
            assert all(one.score == 0 for one in verdicts)


def test_shuffled_numbers_are_accepted_only_where_equal() -> None:
    pairs = gsm8k()
    golds = [Fraction(text.rpartition("####")[2].strip().replace(",", "")) for text, _ in pairs]
    for place, (_, reference) in enumerate(pairs):
        other = (place * 7 + 13) % len(pairs)
        assert numeric.verify(pairs[other][0], reference).correct is (golds[place] == golds[other])


@pytest.mark.parametrize("rows", [humaneval, mbpp])
def test_shuffled_programs_are_accepted_nowhere(rows) -> None:
    """Answer i for row j: the tested names differ; where they do not, it is the same task twice."""
    pairs = rows()
    tried = [(pairs[(place + 1) % len(pairs)][0], reference) for place, (_, reference) in enumerate(pairs)]
    if rows is humaneval:
        tried = [(f"def {ref['entry_point']}(*a):\n{text}", ref) for text, ref in tried]
    verdicts = all_verdicts(python.verify, tried)
    accepted = [place for place, verdict in enumerate(verdicts) if verdict.correct]
    same = [place for place in accepted if python.entry_of(pairs[place][1]) == python.entry_of(
        pairs[(place + 1) % len(pairs)][1])]  # fmt: skip
    assert accepted == same


def test_shuffled_formulas_are_accepted_only_where_equal() -> None:
    """What is accepted for another row is the same value by an independent reading of both."""
    pairs = math_rows()[:1500]
    tried = [
        (f"\\boxed{{{pairs[(place + 1) % len(pairs)][1]['answer']}}}", ref) for place, (_, ref) in enumerate(pairs)
    ]
    for (text, reference), verdict in zip(tried, all_verdicts(math.verify, tried), strict=True):
        if verdict.correct:
            ours, theirs = _value(reference["answer"]), _value(_extract.last_boxed(text))
            assert ours == theirs, (reference, text)


def _value(text: str):
    """A number from a gold answer by nothing but text, else the text itself."""
    import re

    plain = re.sub(r"\\(?:text|mbox)\{[^}]*\}|\\[,!$%]|\^\\circ|[$ ,]|^[a-z]=", "", text.replace("\\dfrac", "\\frac"))
    plain = re.sub(r"\\frac\{?(-?\d+)\}?\{?(\d+)\}?", r"\1/\2", plain)
    try:
        return Fraction(plain)
    except ValueError:
        return plain


@pytest.mark.parametrize("file, verify", [("zebra", name.verify), ("arc", grid.verify)])
def test_puzzles(file: str, verify) -> None:
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(DATA / f"mtgrpo/{file}_test.parquet").to_pylist()
    truths = [row["reward_model"]["ground_truth"] for row in rows]
    assert len(truths) == 200
    for place, truth in enumerate(truths):
        other = truths[(place + 1) % len(truths)]
        assert verify(f"\\boxed{{{truth['target']}}}", truth).correct
        assert verify(f"\\boxed{{{other['target']}}}", truth).correct is (other["target"] == truth["target"])


def test_countdown_rows_are_solved_by_search() -> None:
    """An exhaustive search's solutions of the 3- and 4-number rows are accepted, for their own row only."""
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(DATA / "mtgrpo/countdown_test.parquet").to_pylist()
    truths = [row["reward_model"]["ground_truth"] for row in rows if row["extra_info"]["difficulty"] == 1]
    for place, truth in enumerate(truths):
        found = solution([(Fraction(one), one) for one in truth["numbers"].split(",")], Fraction(truth["target"]))
        assert found is not None
        assert countdown.verify(f"\\boxed{{{found}}}", truth).correct
        assert not countdown.verify(f"\\boxed{{{found}}}", truths[(place + 1) % len(truths)]).correct


def solution(parts: list[tuple[Fraction, str]], target: Fraction) -> str | None:
    if len(parts) == 1:
        return parts[0][1] if parts[0][0] == target else None
    for i in range(len(parts)):
        for j in range(len(parts)):
            if i == j:
                continue
            rest = [part for place, part in enumerate(parts) if place not in (i, j)]
            (a, left), (b, right) = parts[i], parts[j]
            made = [(a + b, "+"), (a - b, "-"), (a * b, "*")] + ([(a / b, "/")] if b else [])
            for value, sign in made:
                found = solution([*rest, (value, f"({left}{sign}{right})")], target)
                if found:
                    return found
    return None
