"""What holds of every task: its gold answers are right, nothing else is, its rows are the same everywhere.

Each law looks at a task and its rows, and says in one line what is wrong; "" if nothing is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from factory.core.errors import WorkFailed
from factory.core.hashing import key_of
from factory.core.records import Verdict
from factory.tasks import _hostile
from factory.tasks._subject import NUMBER, Subject, answer_of, rows_elsewhere, spread, texts_of

SAMPLE, SAMPLE_ELSEWHERE, SILENT, ANY = 200, 40, 40, 40

# One guess out of about twenty small numbers is right by chance; a query or a function is not.
SHUFFLED_LIMIT = {"number": 0.10, "text": 0.03}
# The most any fixed place in the prompt may hold the right number by coincidence (`7 - 3 + 3`).
COPIED_LIMIT = 0.15
# The most formulas, among answers most of which are numbers, that may stand in their prompts (MATH: 1.4 %).
FORMULA_LIMIT = 0.02


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one law: its name, what it says, and what is wrong, "" if it holds."""

    law: str
    says: str
    problem: str


def check(subject: Subject) -> list[Finding]:
    """Every law, in order.

    Raises:
        WorkFailed: this machine cannot isolate what has to be run.
    """
    found = []
    for name, law in LAWS.items():
        try:
            problem = law(subject)
        except WorkFailed:
            raise
        except Exception as error:  # noqa: BLE001 (a task that raises breaks the law, and this is where it is told)
            problem = f"raises {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        found.append(Finding(name, str(law.__doc__), problem))
    return found


def gold(subject: Subject) -> str:
    """Gold answers score 1, in every component that the task declares."""
    task = subject.task
    for split, rows in subject.splits.items():
        for row in spread(rows, SAMPLE if split == task.splits[-1] else SAMPLE_ELSEWHERE):
            verdict = task.verify(row.gold, row)
            if (verdict.score, verdict.correct) != (1.0, True):
                return f"{split} row {row.id}: the gold answer gets {verdict.score}: {verdict.reason}"
            if set(verdict.components) != set(task.components):
                return f"components are {sorted(verdict.components)}, the task declares {sorted(task.components)}"
            if any(value != 1.0 for value in verdict.components.values()):
                return f"{split} row {row.id}: a gold answer's component is below 1: {dict(verdict.components)}"
    return ""


def others(subject: Subject) -> str:
    """Another row's answer is rarely right, and silence never."""
    task, rows = subject.task, spread(subject.held_out, SAMPLE)
    shuffled = [*rows[len(rows) // 2 :], *rows[: len(rows) // 2]]
    accepted = sum(bool(task.verify(other.gold, row).correct) for row, other in zip(rows, shuffled, strict=True))
    chance = task.chance or 0.0
    by_chance = chance + 4 * (chance * (1 - chance) / max(1, len(rows))) ** 0.5
    limit = max(SHUFFLED_LIMIT["text" if texts_of(rows) else "number"], by_chance)
    if len(rows) > 1 and accepted / len(rows) > limit:
        return f"{accepted} of {len(rows)} answers of other rows are accepted; where answers repeat, declare 'chance'"
    for row in rows[:SILENT]:
        for text in _hostile.SILENCE:
            if problem := _zero(task.verify(text, row)):
                return f"row {row.id}, {text!r}: {problem}"
    return ""


def hostile(subject: Subject) -> str:
    """Huge, binary, deep and broken texts score 0, soon, and raise nothing."""
    for shape, text in _hostile.HOSTILE.items():
        if problem := hostile_text(subject, text):
            return f"{shape}: {problem}"
    return ""


def hostile_text(subject: Subject, text: str) -> str:
    """What is wrong with the verdict on one hostile text."""
    verdict = subject.task.verify(text, subject.held_out[0])
    late = f"takes {verdict.seconds:.1f} s" if verdict.seconds >= _hostile.SECONDS else ""
    return _zero(verdict) or late


def any_text(subject: Subject) -> str:
    """Any text gets a score of 0 to 1, and only 1 is correct."""
    for text in _hostile.any_texts(subject.task.name, ANY):
        if problem := no_verdict(subject.task.verify(text, subject.held_out[0])):
            return f"{text!r}: {problem}"
    return ""


def _zero(verdict: Verdict) -> str:
    """What is wrong with a verdict on what answers nothing."""
    zero = (verdict.score, verdict.correct) == (0.0, False)
    return "" if zero else f"score {verdict.score}, correct {verdict.correct}: {verdict.reason}"


def no_verdict(verdict: Verdict) -> str:
    """What is wrong with a verdict on some text; "" if it is one."""
    fine = verdict.score is not None and 0 <= verdict.score <= 1 and verdict.correct is (verdict.score == 1)
    return "" if fine else f"score {verdict.score}, correct {verdict.correct}"


def splits(subject: Subject) -> str:
    """Ids are unique, no split is empty, and no two share a prompt."""
    empty = [split for split, rows in subject.splits.items() if not rows]
    if empty:
        return f"no {empty[0]} rows"
    ids = [row.id for rows in subject.splits.values() for row in rows]
    if len(set(ids)) < len(ids):
        return f"{len(ids) - len(set(ids))} ids come twice"
    prompts = {split: {" ".join(row.prompt.split()).lower() for row in rows} for split, rows in subject.splits.items()}
    for one, other in combinations(prompts, 2):
        if common := prompts[one] & prompts[other]:
            return f"{one} and {other} share {len(common)} prompts: {min(common)[:80]!r}"
    return ""


def no_leak(subject: Subject) -> str:
    """The prompt does not give the answer away: no text answer stands in it, no fixed number of it is the answer."""
    rows = subject.held_out
    if subject.task.answer_in_prompt:
        return "" if subject.task.chance is not None else "an answer that stands in the prompt needs a declared chance"
    texts = texts_of(rows)
    given = [row.id for row in texts if " ".join(answer_of(row).split()) in " ".join(row.prompt.split())]
    # A formula (`x`, `(0, 1)`) may stand in its prompt by coincidence where other rows' answers are numbers.
    if len(given) > (0 if len(texts) == len(rows) else FORMULA_LIMIT * len(texts)):
        return f"{len(given)} of {len(rows)} answers stand in their prompts, row {given[0]} is one"
    if len(texts) == len(rows):
        return ""
    numbers = [(NUMBER.findall(row.prompt), answer_of(row)) for row in rows if NUMBER.fullmatch(answer_of(row))]
    most = max((len(found) for found, _ in numbers), default=0)
    for place in range(-most, most):
        hits = sum(-len(found) <= place < len(found) and found[place] == answer for found, answer in numbers)
        if hits / len(numbers) > COPIED_LIMIT:
            return f"number {place} of the prompt answers {hits} of {len(numbers)}"
    return ""


def same_rows(subject: Subject) -> str:
    """Two processes have the same rows in the same order."""
    asked = [(subject.task.name, subject.most)]
    here = {split: key_of([row.id for row in rows]) for split, rows in subject.splits.items()}
    for hash_seed in ("1", "2"):
        if rows_elsewhere(asked, subject.source, hash_seed)[subject.task.name] != here:
            return "another process has other rows, or another order"
    return ""


LAWS: dict[str, Callable[[Subject], str]] = {
    "gold": gold,
    "others": others,
    "hostile": hostile,
    "any_text": any_text,
    "splits": splits,
    "no_leak": no_leak,
    "same_rows": same_rows,
}
