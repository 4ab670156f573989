r"""A number, found by its marker and compared exactly.

reference: `{"answer": "1,234", "style": "hashes" | "tag" | "boxed"}`. GSM8K's own answers (`... #### 1,234`) may be
given whole. Thousands commas, a currency sign, a trailing full stop and a unit are looked through; a unit holds no
digit and is not a word that changes the number (`million`) or hedges (`or`). `50%` counts for 50 and for 0.5. With the
styles `hashes` and `boxed` a completion that is nothing but the number counts too; `tag` asks for its envelope.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Verdict
from factory.verifiers import _extract

LONGEST = 100
_NUMBER = re.compile(
    r"(?P<sign>[-+]?)[$€£]?\s*(?P<sign2>[-+]?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)?(?P<decimals>\.\d+)?(?:/(?P<below>\d+))?"
)
_UNIT = re.compile(r"[^\W\d_][\w .°²³/\-']*|[°€£$]|")
_CHANGES_THE_NUMBER = re.compile(
    r"(?i)\b(or|and|not|to|plus|minus|times|hundred|thousand|million|billion|trillion|dozen|k|m|bn|e)\b"
)


def number_in(text: str) -> tuple[Fraction, bool] | None:
    """The one number that the text is, and whether a percent sign follows it; None if it is not one number."""
    text = text.strip().strip("*").strip().replace("\\$", "$").replace("\\%", "%").replace("−", "-")
    text = text.strip("$").strip() if text.count("$") == 2 and text.startswith("$") else text
    text = text.rstrip(".").rstrip()
    match = _NUMBER.match(text) if len(text) <= LONGEST else None
    if match is None or not (match["whole"] or match["decimals"]) or (match["sign"] and match["sign2"]):
        return None
    rest = text[match.end() :]
    percent = rest.lstrip().startswith("%")
    unit = rest.lstrip()[1:].strip() if percent else rest.strip()
    if re.search(r"\d", unit) or not _UNIT.fullmatch(unit) or _CHANGES_THE_NUMBER.search(unit):
        return None
    below = int(match["below"] or 1)
    if not below or (match["below"] and match["decimals"]):
        return None
    value = Fraction((match["whole"] or "0").replace(",", "") + (match["decimals"] or "")) / below
    return (-value if "-" in (match["sign"] + match["sign2"]) else value), percent


def _gold(reference: Mapping[str, Any]) -> Fraction:
    text = str(reference["answer"])
    found = number_in(_extract.after_hashes(text) or text)
    if found is None:
        raise BadInput(f"the gold answer {text[-60:]!r} is not a number; expected e.g. '18', '1,234' or '... #### 18'")
    return found[0]


def verify(completion: str, reference: Mapping[str, Any]) -> Verdict:
    """Whether the marked number equals the gold one.

    Raises:
        BadInput: the reference has no usable answer or an unknown style.
    """
    start = time.perf_counter()
    style = reference.get("style", "hashes")
    gold = _gold(reference)
    marked = _extract.marked(completion, style)
    if marked is None and style != "tag":
        whole = _extract.outside_reasoning(completion)
        marked = whole if number_in(whole) else None
    if marked is None:
        return Verdict.of(False, "no answer found", seconds=time.perf_counter() - start, format=0.0)
    found = number_in(marked)
    if found is None:
        return Verdict.of(False, "the answer is not one number", seconds=time.perf_counter() - start, format=0.0)
    value, percent = found
    correct = value == gold or (percent and value / 100 == gold)
    reason = "equal" if correct else "another number"
    return Verdict.of(correct, reason, seconds=time.perf_counter() - start, format=1.0)
