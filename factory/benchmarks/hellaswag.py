"""HellaSwag (Zellers et al. 2019, arXiv 1905.07830) as lm-evaluation-harness has it (task hellaswag, version 1).

No examples; four endings of a text are compared by log-likelihood, `acc_norm` divided by their length in characters.
Items are the validation split's: the test split's answers are not public.

The mirror's file is cleaned already, by others: it left the second part of a context as it was, which the harness
capitalises (done here), and took the leading space off endings that began with markup (about one item in seventeen,
which cannot be undone: there a choice's text has one space less than the harness's).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from factory.benchmarks._benchmark import CHOICES, Benchmark
from factory.benchmarks._harness import GREEDY, HeldOut, by_likelihood
from factory.core.errors import BadInput
from factory.core.hashing import key_of
from factory.core.records import Row
from factory.tasks._dataset import Dataset, Part
from factory.tasks._rows import Fields

UPSTREAM: Fields = {"activity_label": str, "ctx_a": str, "ctx_b": str, "endings": list, "label": (str, int)}
DATASET = Dataset(
    "hellaswag",
    "Rowan/hellaswag",
    {
        "test": Part(
            "hellaswag/hellaswag_val.jsonl.gz", {"ctx": str, "endings": list, "label": (int, str)}, "validation",
            hub_fields=UPSTREAM,
        )
    },
)  # fmt: skip
_LAST_PART = re.compile(r"([.?!] )([a-z][^.?!]*)$")
_BRACKETS = re.compile(r"\[.*?\]")


def _capitalised(match: re.Match[str]) -> str:
    return match[1] + match[2].capitalize()


def cleaned(text: str) -> str:
    """Without what the sources' markup left behind."""
    text = _BRACKETS.sub("", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def row_of(plain: Mapping[str, Any]) -> Row:
    """An item, of upstream's fields or of the mirror's, which are cleaned already."""
    if "ctx_a" in plain:
        context = cleaned(f"{plain['activity_label']}: {plain['ctx_a']} {plain['ctx_b'].capitalize()}")
        endings = [cleaned(ending) for ending in plain["endings"]]
    else:
        context, endings = _LAST_PART.sub(_capitalised, plain["ctx"]), list(plain["endings"])
    gold = int(plain["label"])
    if not 0 <= gold < len(endings):
        raise BadInput(f"hellaswag, {context[:60]!r}: its answer is number {gold} of {len(endings)} endings")
    reference = {"choices": endings, "gold": gold}
    return Row(key_of(context, endings), context, endings[gold], reference, raw=True, question=context)


BENCHMARK = Benchmark(
    name="hellaswag",
    version=1,
    items=HeldOut(DATASET, row_of),
    verify=by_likelihood,
    chance=0.25,
    fingerprint=DATASET.fingerprint,
    method=CHOICES,
    metrics=("acc_norm", "acc"),
    pinned=GREEDY,
    chat=False,
    size=10042,
    origin=DATASET.hub,
    licence="MIT",
    summary="which of four endings a text has",
)
