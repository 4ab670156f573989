r"""A mathematical answer: the last balanced box, compared as text first and by math-verify in a killable worker after.

reference: `{"answer": LaTeX or a number, "style": "boxed" | "tag", "seconds": limit}`. Text in a reasoning block does
not count. `boxed`: the last balanced `\boxed`, else what follows `####`, else the last formula or number of the last
line. Several answers in one place, false equations and chains are refused; `x = 5` and a true equation that ends in
the answer count. Trailing words are a unit if they hold no digit; `50\%` equals 0.5 and 50. Where math-verify 0.9.0 is
laxer we differ on purpose: prose, `8=7`, lists of another length or in other brackets, numbers in another base.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.sandbox import require
from factory.sandbox.kind import Kind
from factory.sandbox.lane import Lane, LaneLate, WorkerDied
from factory.sandbox.pool import LanesDied, pool_of
from factory.verifiers import _extract
from factory.verifiers import _math_text as text_of

SECONDS = 4.0
LONGEST_RAW = 4000
_FORMULA = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]")
_NUMBER = re.compile(r"-?(?:\d[\d,]*\.?\d*|\.\d+)(?:/\d+)?%?")
_TAKEN_BACK = re.compile(r"(?i)(?:\b(?:or|nor|not|to)|n't|n’t|≠|!=)\s*$")
"""What, before a number in a sentence, makes it no answer: `5 or 6`, `it is not 5`."""


@lru_cache(maxsize=1)
def _kind() -> Kind:
    libraries = tuple(path for path in sys.path if path and (Path(path) / "math_verify").is_dir())
    here = str(Path(__file__).parent)
    return Kind("math", "_math_worker", (here, *libraries), ("math_verify",), memory_bytes=1500 << 20)


def answer_of(completion: str, style: str = "boxed") -> str | None:
    """The answer's text in a completion, None where there is none."""
    text = _extract.outside_reasoning(completion)
    if style == "tag":
        return _extract.answer_tag(text)
    found = _extract.last_boxed(text)
    if found is None:
        found = _extract.after_hashes(text)
    if found is not None:
        return found
    lines = [line for line in text[-4000:].splitlines() if line.strip()] or [""]
    formulas = list(_FORMULA.finditer(lines[-1]))
    if formulas:
        return next(group for group in formulas[-1].groups() if group is not None)
    if not text_of.words(text_of.plain(lines[-1])) and len(lines) == 1:
        return lines[-1]
    last = next(reversed(list(_NUMBER.finditer(lines[-1].rstrip(". ")))), None)
    return last.group() if last and not _TAKEN_BACK.search(lines[-1][: last.start()]) else None


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the answer equals the gold one.

    Raises:
        BadInput: the gold answer is empty, or takes math-verify too long.
        WorkFailed: this machine cannot isolate the comparison.
    """
    start = time.perf_counter()
    raw = str(reference["answer"])
    gold = text_of.plain(_extract.last_boxed(raw) or raw)
    if not gold:
        raise BadInput("the gold answer is empty; expected LaTeX such as '\\frac{1}{2}' or a number")
    found = answer_of(completion, reference.get("style", "boxed"))
    if found is None or not found.strip():
        return Verdict.of(False, "no answer found", seconds=time.perf_counter() - start, format=0.0)
    if len(found) > LONGEST_RAW:
        return Verdict.of(False, "the answer is too long", seconds=time.perf_counter() - start, format=0.0)
    correct, reason = _compare(gold, text_of.plain(found), float(reference.get("seconds", SECONDS)))
    seconds = time.perf_counter() - start
    if correct is None:
        return Verdict.unscorable(reason, seconds=seconds)
    return Verdict.of(correct, reason, seconds=seconds, format=1.0)


def _compare(gold: str, answer: str, limit_seconds: float) -> tuple[bool | None, str]:
    same = text_of.same_text(gold, answer)
    if same or len(answer) > text_of.LONGEST:
        return same, "the same formula" if same else "the answer is too long"
    if "\\in" not in gold.replace("\\infty", ""):
        answer = text_of.claimed(answer)
    gold, answer = text_of.both_signs(text_of.joined(gold)), text_of.both_signs(answer)
    if len(text_of.split(gold, ",")) > 1:
        answer = text_of.without_braces(text_of.joined(answer))
    golds, answers = text_of.split(gold, ","), text_of.split(answer, ",")
    refusal = "prose in the answer" if text_of.words(answer) else _refusal(golds, answers)
    if sign := text_of.strange(gold, answer):
        refusal = f"{sign} in the answer"
    if refusal:
        return False, refusal
    if "=" in gold:
        wants_equation = len(golds) == 1 and not text_of.is_name(text_of.split(gold, "=")[0])
        if wants_equation and "=" not in answer:
            return False, "not the equation asked for"
        return _ask(gold, answer, None, limit_seconds)
    pairs = [text_of.split(part, "=") for part in answers]
    claims = [pair for pair in pairs if len(pair) == 2 and not text_of.is_name(pair[0])]
    if claims and len(pairs) > 1:
        return False, "equations in a list"
    return _ask(gold, ",".join(pair[-1] for pair in pairs), claims[0] if claims else None, limit_seconds)


def _refusal(golds: list[str], answers: list[str]) -> str:
    """Why answers are refused at sight; "" if they are not."""
    if len(golds) != len(answers):
        return "another number of answers"
    if any(len(text_of.split(part, "=")) > 2 for part in answers):
        return "a chain of equations"
    last_sides = [(text_of.split(g, "=")[-1], text_of.split(a, "=")[-1]) for g, a in zip(golds, answers, strict=True)]
    for gold, answer in last_sides:
        ours, theirs = text_of.bracketing(gold), text_of.bracketing(answer)
        if (ours or theirs) and ours != theirs:
            return "another kind of bracket"
        if ours and ours != "{}" and len(text_of.split(gold[1:-1], ",")) != len(text_of.split(answer[1:-1], ",")):
            return "another number of entries"
        if text_of.base_of(gold) != text_of.base_of(answer):
            return "another base"
    return ""


def _ask(gold: str, answer: str, sides: list[str] | None, limit_seconds: float) -> tuple[bool | None, str]:
    require()

    def work(lane: Lane) -> dict[str, Any]:
        try:
            return lane.ask({"gold": gold, "answer": answer, "sides": sides}, limit_seconds)
        except LaneLate:
            return {"late": True}
        except WorkerDied:
            return {"died": True}

    try:
        reply = pool_of(_kind()).use(work)
        if "late" in reply or "died" in reply or "failed" in reply:
            return _blame(gold, reply, limit_seconds)
    except LanesDied as error:
        return None, str(error)
    if not reply["parsed"]:
        return False, "another text than a gold answer that is no formula"
    return reply["correct"], "equal" if reply["correct"] else "another value"


@lru_cache(maxsize=4096)
def _gold_works(gold: str) -> bool:
    """Whether the gold answer can be compared with itself in time."""

    def work(lane: Lane) -> bool:
        try:
            return "correct" in lane.ask({"gold": gold, "answer": gold, "sides": None}, SECONDS)
        except (LaneLate, WorkerDied):
            return False

    return pool_of(_kind()).use(work)


def _blame(gold: str, reply: dict[str, Any], limit_seconds: float) -> tuple[bool | None, str]:
    """A comparison that did not end well is the answer's fault, unless the gold alone does not either."""
    if not _gold_works(gold):
        raise BadInput(f"the gold answer {gold[:80]!r} cannot be compared even with itself")
    if "late" in reply:
        return False, f"timed out: the comparison takes more than {limit_seconds:g} s"
    return False, reply.get("failed") or "the comparison ended its process"
