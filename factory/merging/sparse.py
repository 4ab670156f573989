"""Which entries of a dense update count as changed: RL updates of full models are sparse, those of LoRA are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from factory.merging.contract import Settings
from factory.merging.grams import Grams
from factory.merging.parameters import Parameter
from factory.store.factors import Factors

if TYPE_CHECKING:
    import torch


PARAMETERS = {"epsilon": Parameter(0.0, low=0), "threshold": Parameter(0.5, low=0, ours=True)}
"""RAM's, for `limits`; mergekit has no threshold."""
DIFFERS = (
    "mergekit's default is an absolute epsilon of 1e-5; here it is relative to each update unless epsilon is given"
)


def limits(inputs: Sequence[Factors], settings: Settings) -> list[float]:
    """The magnitude above which an entry of each input counts as changed.

    `epsilon` is that magnitude, the same for all; where it is 0 it is `threshold` times the root mean square of the
    input's own entries. An absolute one, as mergekit has it (1e-5), takes all of one adapter and nothing of another.
    """
    epsilon = settings.number("epsilon")
    if epsilon > 0:
        return [epsilon] * len(inputs)
    entries = inputs[0].shape[0] * inputs[0].shape[1]
    return [settings.number("threshold") * (Grams.of(item).energy / entries) ** 0.5 for item in inputs]


def changed(parts: Sequence[torch.Tensor], bounds: Sequence[float]) -> torch.Tensor:
    """(inputs, rows, columns) of switches: where each input counts."""
    import torch

    return torch.stack([part.abs() > bound for part, bound in zip(parts, bounds, strict=True)])
