r"""Mathematical answers as text, compared as the MATH authors do and lm-evaluation-harness after them.

Spelling is made one (`\dfrac`, spaces, units, `0.5`, `a/b`, a name before `=`), then the texts are compared; nothing is
computed. Kept to the letter, odd cases too, so that scores are the published ones (Hendrycks et al. 2021,
arXiv 2103.03874).
"""

from __future__ import annotations

from factory.core.errors import BadInput
from factory.verifiers._extract import last_boxed

_PLAIN = (
    ("\n", ""), ("\\!", ""), ("\\\\", "\\"), ("tfrac", "frac"), ("dfrac", "frac"), ("\\left", ""), ("\\right", ""),
    ("^{\\circ}", ""), ("^\\circ", ""), ("\\$", ""),
)  # fmt: skip


def same(answer: str, gold: str) -> bool:
    """Whether two answers are the same text once spelled alike; as they stand, where they cannot be spelled."""
    try:
        return spelled(answer) == spelled(gold)
    except _Odd:
        return answer == gold


class _Odd(Exception):
    """A text whose spelling the authors' rules do not foresee."""


def between_dollars(text: str) -> str:
    """What stands between the first and the last `$`; the whole text if there are not two."""
    first, last = text.find("$"), text.rfind("$")
    return text[first + 1 : last] if first != last else text


def spelled(text: str) -> str:
    """The one spelling of an answer."""
    for old, new in _PLAIN:
        text = text.replace(old, new)
    if "\\text{ " in text:
        parts = text.split("\\text{ ")
        if len(parts) != 2:
            raise _Odd
        text = parts[0]
    text = text.replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.")
    if not text:
        return text
    if text.startswith("."):
        text = f"0{text}"
    sides = text.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        text = sides[1]
    text = _fractions(_roots(text).replace(" ", ""))
    if text == "0.5":
        return "\\frac{1}{2}"
    return _slashed(text)


def _roots(text: str) -> str:
    r"""`\sqrt3` as `\sqrt{3}`."""
    head, *rest = text.split("\\sqrt")
    done = head
    for part in rest:
        if not part:
            raise _Odd
        done += "\\sqrt" + (part if part[0] == "{" else f"{{{part[0]}}}{part[1:]}")
    return done


def _fractions(text: str) -> str:
    r"""`\frac12` and `\frac1{2}` as `\frac{1}{2}`."""
    head, *rest = text.split("\\frac")
    done = head
    for part in rest:
        if not part:
            raise _Odd
        if part[0] == "{":
            done += "\\frac" + part
        elif len(part) < 2:
            return text
        elif part[1] == "{":
            done += f"\\frac{{{part[0]}}}{part[1:]}"
        else:
            done += f"\\frac{{{part[0]}}}{{{part[1]}}}{part[2:]}"
    return done


def _slashed(text: str) -> str:
    r"""`3/4` as `\frac{3}{4}`, where both are whole numbers written plainly."""
    sides = text.split("/")
    if len(sides) != 2:
        return text
    try:
        above, below = int(sides[0]), int(sides[1])
    except ValueError:
        raise _Odd from None
    return f"\\frac{{{above}}}{{{below}}}" if text == f"{above}/{below}" else text


def gold_of(solution: str) -> str:
    """What the last box of a worked solution holds.

    Raises:
        BadInput: it has none.
    """
    if "\\boxed " in solution:
        return solution.rsplit("\\boxed ", maxsplit=1)[-1].split("$", maxsplit=1)[0]
    found = last_boxed(solution)
    if found is None:
        raise BadInput(f"a solution without \\boxed: {solution[-60:]!r}; the file is not MATH's")
    return found
