"""On-policy distillation: the student writes, and at each token is drawn to the distribution of its task's teacher.

GKD with on-policy data alone (Agarwal et al. 2023, arXiv 2306.13649); the reverse divergence by default, under which a
student of several specialists follows each on its own ground. A teacher is an adapter on the student's base: a step is
taken on `prompts_per_step` completions, and every sequence is read once more under its teacher's adapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from factory.core.errors import BadInput, UnknownName
from factory.core.recipes import AdapterRecipe, StrategyOptions
from factory.training.lesson import Taught, Work
from factory.training.strategy import Sizes, Strategy, given_shares, options_of, step_divides
from factory.training.weighting import Fixed


class Options(StrategyOptions):
    """Who teaches what.

    Attributes:
        teachers: an adapter for each task: one of the study, of the store, a folder or a hub id.
        divergence: 0 for KL(teacher, student), 1 for KL(student, teacher), between them Jensen-Shannon's; TRL's `beta`.
    """

    teachers: Annotated[dict[str, str], Field(min_length=1)]
    divergence: Annotated[float, Field(ge=0, le=1)] = 1.0


@dataclass(frozen=True)
class Distil:
    """Learning from teachers, each for its tasks."""

    options: Options

    def teach(self, work: Work) -> Taught:
        """See `Lesson`."""
        from factory.training.teachers import taught_by

        return taught_by(work, self.options.teachers, self.options.divergence)


def build(recipe: AdapterRecipe, sizes: Sizes) -> Strategy:
    """Shares as in `joint`.

    Raises:
        UnknownName: weights or teachers for tasks that are not trained on.
        BadInput: a task without a teacher, or weights or options that make no sense.
    """
    del sizes
    options = options_of(Options, recipe)
    step_divides(recipe)
    for task in options.teachers:
        if task not in recipe.tasks:
            raise UnknownName("task", task, recipe.tasks, "strategy_options, teachers")
    missing = [task for task in recipe.tasks if task not in options.teachers]
    if missing:
        raise BadInput(f"strategy distil: no teacher for {', '.join(missing)}; name one in strategy_options.teachers")
    return Strategy(Fixed(given_shares(recipe.tasks, recipe.task_weights)), lesson=Distil(options))
