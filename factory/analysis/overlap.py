"""How much of a benchmark item stands in training text: exactly, or by shared runs of words.

A token counts as seen if it is in a run of `ngram` words that also occurs in training; an item's share is that of its
tokens (Touvron et al. 2023, arXiv 2307.09288, A.6, with shorter runs). Runs that many of a benchmark's own items have
in common are its template's words and say nothing; they are left out on both sides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NGRAM, SHARE = 8, 0.8
TEMPLATE_SHARE, TEMPLATE_ITEMS = 0.01, 4
_WORD = re.compile(r"[^\W_]+")

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """What of one item was seen in training.

    Attributes:
        exact: the same text, white space and case aside.
        share: of the item's tokens, those in a run of words that training has; 0 for items shorter than a run.
    """

    exact: bool
    share: float


def words(text: str) -> list[str]:
    """The words and numbers of a text, in lower case."""
    return _WORD.findall(text.lower())


def exact_form(text: str) -> str:
    """A text without white space and case: what makes two questions the same."""
    return "".join(text.lower().split())


def grams(tokens: Sequence[str], ngram: int) -> list[Gram]:
    """All runs of `ngram` words, in order."""
    return [tuple(tokens[start : start + ngram]) for start in range(len(tokens) - ngram + 1)]


class Seen:
    """Training text to look items up in.

    Args:
        ngram: length of a run, in words.
    """

    def __init__(self, ngram: int = NGRAM) -> None:
        self.ngram = ngram
        self._exact: set[int] = set()
        self._grams: set[int] = set()

    def add(self, text: str, *, exact_only: bool = False) -> None:
        """Add one training question.

        Args:
            exact_only: for generated text, whose wording is a template that all its rows share.
        """
        self._exact.add(hash(exact_form(text)))
        if not exact_only:
            self._grams.update(map(hash, grams(words(text), self.ngram)))

    def overlaps(self, items: Iterable[str]) -> list[Overlap]:
        """What was seen of each of a benchmark's items."""
        texts = list(items)
        runs = [grams(words(text), self.ngram) for text in texts]
        counts = Counter(gram for each in runs for gram in set(each))
        most = max(TEMPLATE_ITEMS, TEMPLATE_SHARE * len(texts))
        return [
            Overlap(hash(exact_form(text)) in self._exact, self._share([(gram, counts[gram] > most) for gram in each]))
            for text, each in zip(texts, runs, strict=True)
        ]

    def _share(self, runs: Sequence[tuple[Gram, bool]]) -> float:
        """Of the tokens that stand in a run which is no template's, the share in a run that was seen."""
        own: set[int] = set()
        seen: set[int] = set()
        for start, (gram, template) in enumerate(runs):
            if not template:
                own.update(range(start, start + self.ngram))
                if hash(gram) in self._grams:
                    seen.update(range(start, start + self.ngram))
        return len(seen) / len(own) if own else 0.0
