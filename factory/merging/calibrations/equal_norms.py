"""Norm equalisation: every update gets the mean norm of all, so that no task outweighs another by its size alone."""

from __future__ import annotations

from collections.abc import Sequence

from factory.merging.grams import Grams
from factory.store.factors import Factors

PAPER = "no paper of its own; the scaling that many compare their methods at"


def before(inputs: Sequence[Factors]) -> list[Factors]:
    """mean_k ||D_k|| / ||D_i|| * D_i."""
    norms = [Grams.of(item).energy ** 0.5 for item in inputs]
    mean = sum(norms) / len(norms)
    return [Factors(item.lora_A, item.lora_B * (mean / norm)) for item, norm in zip(inputs, norms, strict=True)]


def size(inputs: Sequence[Factors]) -> float | None:
    """What the method makes of them."""
    del inputs
    return None
