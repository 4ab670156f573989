r"""Mathematical answers as text: their plain form, what is refused at sight, lists, equations, units.

Nothing here computes. `plain` makes spellings of the same formula equal; what remains different is for math-verify.
"""

from __future__ import annotations

import re

LONGEST = 400
_SPACES = re.compile(r"\\[!,;:> ]|\\q?quad\b|~|\s+")
_DEGREES = re.compile(r"\^\{?\s*\\circ\s*\}?|\\degree\b|°")
_TEXT = re.compile(r"\\(?:text|mbox|textbf|textit|textrm|mathrm|mathbf|hbox)\s*\{([^{}]*)\}")
_UNIT = re.compile(
    r"(?:(?<=[\d})\]%])|(?<=\\pi))(?:\s|~|\\[,;: ])*"
    r"\\(?:text|mbox|mathrm|hbox)\s*\{([^{}\d]*)\}\s*(?:\^\{?[23]\}?)?\s*$"
)
_WORD_UNIT = re.compile(r"(?<=\d)\s+[^\W\d_]{2,}(?:[ /][^\W\d_]+)*(?:\^\{?[23]\}?)?\s*$")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:,|\{,\}|\\[, ]|,\\!|[ ~])\d{3})+(?!\d)")
_APART = re.compile(r"(?<=[\d.])(?:\\[!,;:> ]|\\q?quad\b|~|\s)+(?=[\d.])")
_CHANGES_THE_NUMBER = re.compile(
    r"(?i)\b(?:or|and|not|to|plus|minus|times|hundreds?|thousands?|millions?|billions?|trillions?|dozens?|score|percent)\b"
)
_STRANGE = re.compile(
    r"\\(?:not|neq?|notin|[lc]?dots|mp|l?or|l?and|vee|wedge|lnot|neg)(?![a-zA-Z])|≠|…|\.\.\.|\?|(?<=\d)\s*'"
)
_WORD = re.compile(r"(?<![\\a-zA-Z])[^\W\d_]{2,}")
_FUNCTIONS = frozenset(
    ("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "ln", "log", "lg", "exp", "sqrt", "pi",
     "max", "min", "gcd", "lcm", "mod", "det", "dim", "inf")
)  # fmt: skip
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_JOINED = re.compile(r"\\text\s*\{\s*,?\s*(?:and|or)\s*,?\s*\}|\s(?:and|or)\s")
_ABOUT = re.compile(r"\\(?:approx|thickapprox)(?![a-zA-Z])|≈")
_MEMBER = re.compile(r"\s*[a-zA-Z](?:_\{?\w\}?)?\s*(?:\\in(?![a-zA-Z])|∈)")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[a-zA-Z]*(?:matrix|array|cases)\*?\}")
_OPEN, _CLOSE = "([{", ")]}"


def plain(text: str) -> str:
    """The formula without what changes only its looks; a trailing unit (words without digits) is dropped."""
    text = text.strip().strip("$").strip()
    for old, new in (
        (r"\(", ""),
        (r"\)", ""),
        (r"\[", ""),
        (r"\]", ""),
        (r"\$", ""),
        ("−", "-"),
        (r"\displaystyle", ""),
    ):
        text = text.replace(old, new)
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\cfrac", "\\frac")
    text = re.sub(r"\\(?:left|right|bigl?|bigr?|Bigl?|Bigr?)(?![a-zA-Z])\.?", "", text)
    text = _THOUSANDS.sub(lambda match: re.sub(r"\D", "", match.group()), text)
    text = _DEGREES.sub("", text)
    text = re.sub(r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{", text)
    text = re.sub(r"\\sqrt\s*(\w)", r"\\sqrt{\1}", text)
    text = re.sub(r"\s*\\+$", "", text.rstrip().rstrip(".").rstrip())
    text = re.sub(r"(?<!\\)%", r"\\%", text)
    for unit in (_UNIT, _WORD_UNIT):
        text = unit.sub(lambda match: match.group() if _CHANGES_THE_NUMBER.search(match.group()) else "", text)
    return text.strip()


def same_text(gold: str, answer: str) -> bool:
    """Whether two plain formulas are the same but for spaces, text commands, and the case of a word."""
    left, right = (_SPACES.sub("", _APART.sub("_", _TEXT.sub(r"\1", text))) for text in (gold, answer))
    if left == right:
        return True
    is_word = re.fullmatch(r"[^\W\d_]{2,}", left) is not None
    return is_word and left.lower() == right.lower()


def words(text: str) -> list[str]:
    """Words of prose in a formula: in text commands or bare, functions' names aside."""
    bare = _COMMAND.sub(" ", _TEXT.sub(r" \1 ", _ENVIRONMENT.sub(" ", text)))
    return [word for word in _WORD.findall(bare) if word.lower() not in _FUNCTIONS]


def joined(text: str) -> str:
    """`a and b`, `a or b` as `a, b`; only where the gold is a list, since with one answer it is a hedge."""
    return _JOINED.sub(",", text)


def claimed(text: str) -> str:
    r"""An answer without what only introduces it: `\approx 3`, `x \approx 3` as an equation, `x \in [0, 1)`."""
    return _MEMBER.sub("", _ABOUT.sub("=", text).strip().removeprefix("="), count=1).strip()


def without_braces(text: str) -> str:
    r"""The members of a set written as `\{1, 2\}`, as a list."""
    return text.strip()[2:-2].strip() if bracketing(text) == "{}" else text


def strange(gold: str, answer: str) -> str:
    """A sign that denies or hedges (`\\neq`, `\\vee`, dots) and does not stand in the gold answer; "" for none."""
    found = _STRANGE.search(answer)
    return found.group() if found and not _STRANGE.search(gold) else ""


def both_signs(text: str) -> str:
    r"""`1 \pm 2` as the list of the two numbers it stands for."""
    parts = [part.split(r"\pm") for part in split(text, ",")]
    pairs = [["+".join(part), "-".join(part)] if len(part) == 2 else [r"\pm".join(part)] for part in parts]
    return ",".join(one for pair in pairs for one in pair)


def split(text: str, mark: str) -> list[str]:
    """The parts between marks that stand outside all brackets."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        before = text[place - 1] if place else ""
        if character in _OPEN and not (before == "\\" and character != "{"):
            depth += 1
        elif character in _CLOSE and not (before == "\\" and character != "}"):
            depth -= 1
        elif character == mark and depth <= 0 and before not in ("<", ">", "!", "\\"):
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def is_name(side: str) -> bool:
    """Whether one side of an equation only names what the other side gives: `x`, `f(x)`, `a_1`, `(x, y)`."""
    if bracketing(side) == "()":
        return all(is_name(part) for part in split(side.strip()[1:-1], ","))
    if re.search(r"\d", re.sub(r"_\{?\d+\}?", "", side)):
        return False
    return re.fullmatch(r"[\\a-zA-Z'_{}\d\s]+(?:\([a-zA-Z,\s]+\))?", side) is not None and not re.search(
        r"\\(?:frac|sqrt|pi|infty|cdot|times)", side
    )


def bracketing(text: str) -> str:
    """The outer brackets of a list, `()`, `[)`, ...; "" for none. Sets in `\\{...\\}` give `\\{\\}`."""
    text = text.strip()
    if text.startswith("\\{") and text.endswith("\\}"):
        return "{}"
    if text[:1] in ("(", "[") and text[-1:] in (")", "]") and len(split(text[1:-1], ",")) > 1:
        return text[0] + text[-1]
    return ""


def base_of(text: str) -> str:
    """The base written under a number (`12_{8}`), "" for none."""
    match = re.search(r"(?<=\d)_\{?(\d+)\}?$", text.replace(" ", ""))
    return match[1] if match else ""
