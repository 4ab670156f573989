"""Where in a completion the answer stands. Pure text work; nothing is parsed, run or trusted here.

Text inside a reasoning block never counts. Every function gives the answer's text, or None where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from factory.core.errors import BadInput

LONGEST = 1 << 20
"""Characters looked at; of a longer completion the last ones, since an answer stands at the end."""

_FENCE = re.compile(r"^([ \t]*)(```+|~~~+)[^\r\n]*$", re.MULTILINE)
_BRACE = re.compile(r"\\+f?boxed\s*\{|\\.|[{}]", re.DOTALL)
_OPEN, _CLOSE = "<think>", "</think>"


def outside_reasoning(text: str) -> str:
    """What stands outside `<think>...</think>`.

    A block that is never closed swallows the rest; a lone closing mark (the chat template opened the block) everything
    before it.
    """
    text = text[-LONGEST:]
    first_open, first_close = text.find(_OPEN), text.find(_CLOSE)
    if first_close >= 0 and (first_open < 0 or first_close < first_open):
        text = text[text.rfind(_CLOSE) + len(_CLOSE) :] if first_open < 0 else text[first_close + len(_CLOSE) :]
    kept, at = [], 0
    while (start := text.find(_OPEN, at)) >= 0:
        kept.append(text[at:start])
        end = text.find(_CLOSE, start)
        if end < 0:
            return "".join(kept)
        at = end + len(_CLOSE)
    return "".join(kept) + text[at:]


def answer_tag(text: str) -> str | None:
    """The content of the last whole `<answer>...</answer>`."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    return text[start + len("<answer>") : end].strip() if start >= 0 else None


def after_hashes(text: str) -> str | None:
    """What follows the last `####`, to the end of its line (GSM8K's marker)."""
    at = text.rfind("####")
    if at < 0:
        return None
    lines = text[at + 4 :].splitlines()
    return lines[0].strip() if lines else ""


def last_boxed(text: str) -> str | None:
    r"""The content of the last balanced `\boxed{...}` (or `\fbox{...}`); escaped braces do not count as braces."""
    opened: list[int] = []
    found = (-1, -1)
    for match in _BRACE.finditer(text):
        sign = match.group()
        if sign == "}":
            start = opened.pop() if opened else -1
            found = max(found, (start, match.start()))
        elif sign.endswith("{") and len(sign) != 2:
            opened.append(match.end() if len(sign) > 1 else -1)
    return text[found[0] : found[1]].strip() if found[0] >= 0 else None


def fenced_blocks(text: str) -> Iterator[str]:
    """The contents of fenced blocks (``` or ~~~, any info string), in order; a last one that is cut off counts too.

    As in CommonMark, the fence's own indentation (in a list, say) is taken from the content, and a line that is
    indented by more than three blanks beyond it closes nothing.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        mark = fence.group(2)
        if opened is None:
            opened = fence
        elif (
            mark[0] == opened.group(2)[0]
            and len(mark) >= len(opened.group(2))
            and fence.group().strip() == mark
            and len(fence.group(1)) <= len(opened.group(1)) + 3
        ):
            yield _outdented(text[opened.end() + 1 : fence.start()], len(opened.group(1)))
            opened = None
    if opened is not None and text[opened.end() + 1 :].strip():
        yield _outdented(text[opened.end() + 1 :], len(opened.group(1)))


def _outdented(text: str, blanks: int) -> str:
    return re.sub(rf"(?m)^[ \t]{{1,{blanks}}}", "", text) if blanks else text


def last_fenced_block(text: str) -> str | None:
    """The content of the last fenced block."""
    blocks = list(fenced_blocks(text))
    return blocks[-1] if blocks else None


_STYLES: dict[str, Callable[[str], str | None]] = {
    "tag": answer_tag,
    "boxed": last_boxed,
    "hashes": after_hashes,
    "plain": str.strip,
}


def marked(completion: str, style: str) -> str | None:
    """The answer of a style: `tag`, `boxed`, `hashes`, or `plain` (the whole completion); reasoning never counts.

    Raises:
        BadInput: there is no such style.
    """
    find = _STYLES.get(style)
    if find is None:
        raise BadInput(f"unknown answer style {style!r}; known: boxed, hashes, plain, tag")
    return find(outside_reasoning(completion))


def without_commands(text: str) -> str:
    r"""A LaTeX answer of words: `\text{Alice}` and `\mathbf{B}` without the command, `$`, and blanks at its ends."""
    text = re.sub(r"\\(?:text|mbox|mathrm|mathbf|textbf|textit|mathit)\s*\{([^{}]*)\}", r"\1", text)
    return text.replace("$", "").replace("*", "").strip()
