"""A strategy: weights over tasks x selection of groups x schedule. One file of `strategies/` composes one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, TypeVar

import numpy as np
from pydantic import Field

from factory.core.config import parse
from factory.core.errors import BadInput, UnknownName
from factory.core.recipes import AdapterRecipe, StrategyOptions
from factory.rewards import Pool
from factory.tasks._task import Task
from factory.training.groups import Group
from factory.training.lesson import Lesson
from factory.training.queues import Range
from factory.training.selection import Every, RatioPreserving, Refill, Selected, Selection
from factory.training.weighting import Seen, Weights


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a step may draw from.

    Attributes:
        tasks: their names; the others' weights are set aside.
        within: lowest and highest difficulty by task; a task that is not there has all its rows.
    """

    tasks: tuple[str, ...]
    within: Mapping[str, Range] = field(default_factory=dict)


class Schedule(Protocol):
    """What is open at which step."""

    def __call__(self, step: int) -> Allowed:
        """What step `step` (from 0) may draw from."""


Sizes = Mapping[str, Mapping[int | None, int]]
"""Rows of each task, by difficulty."""
Options = TypeVar("Options", bound=StrategyOptions)
DrawRows = Callable[[Mapping[str, int], Mapping[str, Range]], list[Group]]


@dataclass
class Strategy:
    """How the steps of a training run are filled.

    Attributes:
        weights: share of each task, and how it follows what training shows.
        selection: which of the drawn groups are trained on.
        schedule: tasks and difficulties open at a step; None for all, always.
        lesson: how the model learns, where that is not by GRPO on the groups.
    """

    weights: Weights
    selection: Selection = field(default_factory=Every)
    schedule: Schedule | None = None
    lesson: Lesson | None = None

    def fill(self, step: int, size: int, draw: DrawRows, rng: np.random.Generator) -> tuple[Selected, dict[str, float]]:
        """The groups of a step; also gives the shares they were drawn by.

        Args:
            step: from 0.
            size: groups in the step.
            draw: generates groups for so many prompts of each task, from rows of the given difficulties.
        """
        shares, within = self.weights.shares(), {}
        if self.schedule is not None:
            allowed = self.schedule(step)
            total = sum(shares[task] for task in allowed.tasks)
            shares = {task: shares[task] / total for task in allowed.tasks}
            within = dict(allowed.within)
        selected = self.selection.select(lambda counts: draw(counts, within), shares, size, rng)
        return selected, shares

    def observe(self, seen: Mapping[str, Seen]) -> None:
        """Learn from a step that is done."""
        self.weights.observe(seen)

    def state(self) -> dict[str, Any]:
        """Everything that changes, as JSON."""
        return {"weights": self.weights.state(), "selection": self.selection.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.weights.restore(state["weights"])
        self.selection.restore(state["selection"])


def options_of(kind: type[Options], recipe: AdapterRecipe) -> Options:
    """A recipe's `strategy_options`, checked against what its strategy takes.

    Raises:
        BadInput: an option it does not have, or a value that makes no sense.
    """
    return parse(kind, recipe.strategy_options, f"strategy {recipe.strategy}, strategy_options")


def given_shares(tasks: list[str], weights: Mapping[str, float] | None) -> dict[str, float]:
    """Each task's share of a step; equal unless weights are given. Sums to 1.

    Raises:
        UnknownName: a weight for a task that is not trained on.
        BadInput: a task without a weight where others have one.
    """
    if weights is None:
        return {task: 1 / len(tasks) for task in tasks}
    for name in weights:
        if name not in tasks:
            raise UnknownName("task", name, tasks, "task_weights")
    missing = [task for task in tasks if task not in weights]
    if missing:
        raise BadInput(f"task_weights: no weight for {', '.join(missing)}; give one to every task or leave all out")
    total = sum(weights.values())
    return {task: weights[task] / total for task in tasks}


def takes_no_weights(recipe: AdapterRecipe) -> None:
    """Refuse `task_weights` where the strategy sets them itself.

    Raises:
        BadInput: the recipe has some.
    """
    if recipe.task_weights:
        raise BadInput(f"strategy '{recipe.strategy}' sets the task weights itself; leave task_weights out")


def step_divides(recipe: AdapterRecipe) -> None:
    """Refuse a batch that does not divide a step of `prompts_per_step` sequences.

    Raises:
        BadInput: it does not.
    """
    each = recipe.per_device_train_batch_size
    if each is not None and recipe.prompts_per_step % each:
        raise BadInput(
            f"per_device_train_batch_size {each} does not divide prompts_per_step {recipe.prompts_per_step}, which is "
            f"what strategy {recipe.strategy} takes a step on"
        )


class SamplingOptions(StrategyOptions):
    """How a step is filled.

    Attributes:
        sampling: `all` groups that are drawn, `refill` until enough are informative (DAPO), or `ratio`: the same with
            the task shares kept (MT-GRPO).
        oversample: prompts of one round of generation, as a multiple of the step's.
        max_rounds: of generation in a step.
        filter: `lenient` keeps groups whose rewards differ, `strict` those with both a correct and a wrong completion.
        inflate: draw tasks that are often filtered out more often (`ratio`).
        resample: prompts of further rounds (`ratio`): as many as in the first (`paper`), or as are missing (`deficit`).
    """

    sampling: Literal["all", "refill", "ratio"] = "all"
    oversample: Annotated[float, Field(ge=1)] = 3.0
    max_rounds: Annotated[int, Field(ge=1)] = 10
    filter: Literal["strict", "lenient"] = "lenient"
    inflate: bool = True
    resample: Literal["paper", "deficit"] = "paper"


def selection_of(options: SamplingOptions) -> Selection:
    """The selection that the options describe."""
    if options.sampling == "all":
        return Every()
    if options.sampling == "refill":
        return Refill(options.oversample, options.max_rounds, options.filter)
    return RatioPreserving(
        options.oversample, options.max_rounds, options.filter, inflate=options.inflate, resample=options.resample
    )


def sizes_of(pools: Mapping[str, Pool]) -> Sizes:
    """How many rows of each difficulty the pools have."""
    return {task: Counter(row.difficulty for row in pool.rows) for task, pool in pools.items()}


def declared_sizes(tasks: Mapping[str, Task]) -> Sizes:
    """The same before any row is read: one row of each difficulty that a task declares."""
    return {name: dict.fromkeys(task.levels.values(), 1) or {None: 1} for name, task in tasks.items()}
