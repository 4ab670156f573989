"""Completions that nobody means well with: what every verifier has to score 0, soon, without raising."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from factory.core.hashing import seed_from

SILENCE = ("", " \n\t", "<answer></answer>", "####", "```\n```")

HOSTILE = {
    "empty": "",
    "huge": "x" * 1_000_000,
    "huge digits": "<answer>" + "9" * 200_000 + "</answer>",
    "huge hashes": "#### " + "9" * 200_000,
    "binary": bytes(range(256)).decode("latin-1") * 20,
    "NUL": "\x00" * 1000,
    "lone surrogate": "<answer>\ud800</answer> #### \udfff",
    "open round": "(" * 100_000,
    "open square": "SELECT " + "[" * 100_000,
    "open curly": r"\boxed{" * 20_000,
    "open quote": "SELECT " + "'" * 99_999,
    "open tags": "<answer>" * 20_000,
    "open fences": "```\n" * 20_000,
    "open reasoning": "<think>" * 20_000,
    "deep expression": "<answer>" + "-(" * 5_000 + "1" + ")" * 5_000 + "</answer>",
    "deep code": "<answer>def f(x): return " + "(" * 500 + "x" + ")" * 500 + "</answer>",
    "comment never closed": "<answer>/* SELECT 1</answer>",
    "right to left": "<answer>\u202e1\u202c</answer>",
}
SECONDS = 3.0
"""One verdict on any of them takes less."""

WRAPS = ("{}", "<answer>{}</answer>", "#### {}", "\\boxed{{}}", "```\n{}\n```")
_PIECES = (*"0179-+*/=.,()[]{}<>'\"\\$%#_;: \n\tabxyzSELECT", "é", "∞", "𝟙", "\u202e", "\x00", "\ud800", "None")


def any_texts(name: str, count: int) -> Iterator[str]:
    """Short texts of all kinds of signs, bare and in every envelope; the same ones for a name."""
    rng = Random(seed_from("any text", name))
    for _ in range(count):
        text = "".join(rng.choices(_PIECES, k=rng.randrange(24)))
        yield rng.choice(WRAPS).replace("{}", text, 1)
