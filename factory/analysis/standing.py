"""Strategies compared on the tasks they share: at equal optimizer steps, at equal generated samples, by threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from factory.analysis.joint import Group, Run
from factory.analysis.over_seeds import SeedMean, median_reached, over_seeds, paired
from factory.analysis.statistics import Array, holm

Axis = Literal["steps", "samples"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a strategy has made of its tasks.

    Attributes:
        worst: accuracy of the worst task of each seed, whichever it is.
        average: mean accuracy over the tasks.
        tasks: accuracy on each benchmark.
        samples: completions generated until there.
    """

    variant: str
    worst: SeedMean | None
    average: SeedMean | None
    tasks: Mapping[str, SeedMean | None]
    samples: SeedMean | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A strategy minus the reference, paired by seed.

    Attributes:
        worst, average: differences of accuracies.
        relative: mean over the tasks of (accuracy - reference's) / reference's; None where the reference has a 0.
        p_worst, p_average: Holm-adjusted over all differences from this reference.
    """

    variant: str
    worst: SeedMean | None
    average: SeedMean | None
    relative: SeedMean | None
    p_worst: float | None = None
    p_average: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All strategies of a group at one point.

    Attributes:
        axis, at: so many optimizer steps, or so many generated samples.
        against: by reference, what the others differ from it.
    """

    axis: Axis
    at: float
    standings: list[Standing]
    against: Mapping[str, list[Difference]]


@dataclass(frozen=True, slots=True)
class Reached:
    """When a strategy's worst task first reached a threshold, on its learning curves.

    Attributes:
        steps, samples: for each seed; None where it never did.
        seeds: how many have a learning curve.
    """

    variant: str
    threshold: float
    steps: list[float | None]
    samples: list[float | None]
    seeds: int

    @property
    def count(self) -> int:
        """Seeds that reached it."""
        return sum(step is not None for step in self.steps)

    @property
    def median_steps(self) -> float | None:
        """Median over the seeds, never being later than any step; None if it is never."""
        return median_reached(self.steps)


def comparisons(group: Group, references: Sequence[str] | None) -> list[Comparison]:
    """At the last step that all recipes have, then at the most samples that all runs have.

    Args:
        references: adapters to compare with, the group's first if None; those of other groups are left out.
    """
    known = [f"adapter:{name}" for name in references or []]
    chosen = [name for name in known if name in group.variants] if references else list(group.variants[:1])
    found = [_comparison(group, chosen, "steps", group.last)]
    samples = group.shared_samples()
    if samples is not None:
        found.append(_comparison(group, chosen, "samples", samples))
    return [one for one in found if any(standing.worst for standing in one.standings)]


def thresholds(group: Group, levels: Sequence[float]) -> list[Reached]:
    """When each strategy reached each level; none without learning curves."""
    return [
        _reached(variant, level, [run for run in group.of(variant) if run is not None and run.has_curve])
        for level in levels
        for variant in group.variants
        if any(run is not None and run.has_curve for run in group.of(variant))
    ]


def _reached(variant: str, level: float, runs: Sequence[Run]) -> Reached:
    steps = [run.reached(level) for run in runs]
    samples = [
        None if step is None or run.trajectory is None else run.trajectory.samples_at(step)
        for run, step in zip(runs, steps, strict=True)
    ]
    return Reached(variant, level, steps, samples, len(runs))


def _comparison(group: Group, references: Sequence[str], axis: Axis, at: float) -> Comparison:
    items = group.items if axis == "steps" else group.curve_items
    accuracy = {variant: [_accuracy(run, axis, at) for run in group.of(variant)] for variant in group.variants}
    standings = [
        Standing(
            variant,
            over_seeds(_each(values, np.min), items=items),
            over_seeds(_each(values, np.mean), items=items),
            {
                name: over_seeds([None if value is None else float(value[place]) for value in values], items=items)
                for place, name in enumerate(group.benchmarks)
            },
            over_seeds([_samples(run, axis, at) for run in group.of(variant)]),
        )
        for variant, values in accuracy.items()
    ]
    against = {
        reference: _adjusted(
            [
                _difference(variant, values, accuracy[reference], items)
                for variant, values in accuracy.items()
                if variant != reference
            ]
        )
        for reference in references
    }
    return Comparison(axis, at, standings, against)


def _accuracy(run: Run | None, axis: Axis, at: float) -> Array | None:
    if run is None:
        return None
    return run.at_step(int(at)) if axis == "steps" else run.at_samples(at)


def _samples(run: Run | None, axis: Axis, at: float) -> float | None:
    if run is None or run.trajectory is None:
        return None
    return run.trajectory.samples_at(at) if axis == "steps" else at


def _each(values: Sequence[Array | None], reduce: Any) -> list[float | None]:
    return [None if value is None else float(reduce(value)) for value in values]


def _difference(variant: str, ours: Sequence[Array | None], theirs: Sequence[Array | None], items: int) -> Difference:
    relative = [
        None if a is None or b is None or not b.all() else float(np.mean((a - b) / b))
        for a, b in zip(ours, theirs, strict=True)
    ]
    return Difference(
        variant,
        over_seeds(paired(_each(ours, np.min), _each(theirs, np.min)), items=items, test=True),
        over_seeds(paired(_each(ours, np.mean), _each(theirs, np.mean)), items=items, test=True),
        over_seeds(relative),
    )


def _adjusted(rows: list[Difference]) -> list[Difference]:
    known = {
        (place, name): p
        for place, row in enumerate(rows)
        for name, mean in (("worst", row.worst), ("average", row.average))
        if mean is not None and (p := mean.p) is not None
    }
    by_place = dict(zip(known, holm(list(known.values())), strict=True))
    return [
        Difference(
            row.variant, row.worst, row.average, row.relative, by_place.get((i, "worst")), by_place.get((i, "average"))
        )
        for i, row in enumerate(rows)
    ]
