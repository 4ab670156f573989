"""The door to Optuna: a merge's method, weights and density, tried one after another with what was learned so far.

Tree-structured Parzen estimators (Bergstra et al. 2011), because methods are names and weights are numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STEP = 0.05


@dataclass(frozen=True, slots=True)
class Space:
    """What may be chosen.

    Attributes:
        methods: merge methods, and for each whether it has weights and whether it has a density.
        inputs: how many adapters.
        low, high: of a weight.
        each: whether every adapter has a weight of its own.
    """

    methods: Mapping[str, tuple[bool, bool]]
    inputs: int
    low: float
    high: float
    each: bool


def optimise(
    space: Space, budget: int, seed: int, start: Sequence[float] | None, score: Callable[[dict[str, Any]], float]
) -> None:
    """Try `budget` choices, the suggested start first.

    Args:
        start: weights to begin with; rounded to the grid of steps.
        score: called with `{"method", "weights", "density"}`, the last two null where the method has none; larger is
            better.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    if start is not None:
        first: dict[str, Any] = {"method": next(iter(space.methods))}
        own = list(start) if space.each else [sum(start) / len(start)]
        first |= {f"weight{i}": _on_grid(weight, space) for i, weight in enumerate(own)}
        study.enqueue_trial(first, skip_if_exists=True)
    for _ in range(budget):
        trial = study.ask()
        study.tell(trial, score(_choice(trial, space)))


def _choice(trial: Any, space: Space) -> dict[str, Any]:
    method = trial.suggest_categorical("method", list(space.methods))
    weighted, dense = space.methods[method]
    weights = None
    if weighted:
        count = space.inputs if space.each else 1
        own = [round(trial.suggest_float(f"weight{i}", space.low, space.high, step=STEP), 6) for i in range(count)]
        weights = own if space.each else own * space.inputs
    density = round(trial.suggest_float("density", 0.1, 1.0, step=STEP), 6) if dense else None
    return {"method": method, "weights": weights, "density": density}


def _on_grid(weight: float, space: Space) -> float:
    inside = min(max(weight, space.low), space.high)
    return round(space.low + round((inside - space.low) / STEP) * STEP, 6)
