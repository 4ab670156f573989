"""Ways to an adapter other than GRPO: what a training job gives them, and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from factory.core.recipes import AdapterRecipe
from factory.core.records import Row
from factory.rewards import Pool, Scorer
from factory.training.ranks import rank

if TYPE_CHECKING:
    from factory.training.strategy import Strategy


@dataclass(frozen=True)
class Work:
    """One training job, ready to begin.

    Attributes:
        model: the base; `load` gives it once more.
        pools: rows by task.
        strategy: draws the rows of each step.
        tokens: a row's prompt as token ids.
        state: the job's folder for what a resumed run goes on from.
        teachers: folder of each teacher's adapter, by the name the recipe gives it.
        on_step: called with each line of the metrics file.
        say: called with what is done before the first step, in words.
        keep: called with the model and the number of steps done, after each.
        of: recipe, seed and base, as JSON: only a checkpoint of the same is gone on from.
    """

    recipe: AdapterRecipe
    model: Any
    load: Callable[[], Any]
    tokenizer: Any
    pools: Mapping[str, Pool]
    strategy: Strategy
    scorer: Scorer
    tokens: Callable[[Row], list[int]]
    state: Path
    seed: int
    teachers: Mapping[str, str]
    on_step: Callable[[dict[str, Any]], None]
    say: Callable[[str], None]
    keep: Callable[[Any, int], None]
    of: dict[str, Any]

    @property
    def metrics_path(self) -> Path:
        """The metrics file: of rank 0, or one of its own by which another rank knows when to stop."""
        return self.state / (f"metrics-rank{rank()}.jsonl" if rank() else "metrics.jsonl")


@dataclass(frozen=True)
class Taught:
    """What a training ends with.

    Attributes:
        model: the PEFT model.
        stopped: why it ended early, None if it did not.
        used: rows of each task that were trained on.
        before: what was spent before the first step: `completions`, `tokens`, `verified` and seconds by part.
        notes: what the card says besides, by name.
    """

    model: Any
    stopped: str | None
    used: Mapping[str, int]
    before: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


class Lesson(Protocol):
    """How a model learns from its rows."""

    def teach(self, work: Work) -> Taught:
        """Train to the recipe's last step, from the newest whole checkpoint of the job."""
