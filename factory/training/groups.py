"""One prompt with its completions, verified: what a training step is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from factory.core.records import Verdict


@dataclass(frozen=True)
class Group:
    """A prompt of a task with a group of sampled completions.

    Attributes:
        task, row: the task and the index of the row in its pool.
        prompt_ids: token ids of the prompt.
        completion_ids: token ids of each completion, its end token included.
        verdicts: of each completion.
        rewards: of each completion, None where the verifier failed.
    """

    task: str
    row: int
    prompt_ids: list[int]
    completion_ids: list[list[int]]
    verdicts: Sequence[Verdict]
    rewards: Sequence[float | None]

    @property
    def known(self) -> list[float]:
        """The rewards there are."""
        return [reward for reward in self.rewards if reward is not None]

    @property
    def spread(self) -> float:
        """Highest minus lowest reward."""
        return max(self.known) - min(self.known) if self.known else 0.0

    @property
    def correct(self) -> int:
        """How many completions are correct."""
        return sum(bool(verdict.correct) for verdict in self.verdicts)

    @property
    def scored(self) -> int:
        """How many completions have a verdict."""
        return sum(verdict.score is not None for verdict in self.verdicts)

    def advantages(self, scale: bool = True) -> list[float]:
        """(reward - mean) / (std + 1e-4) over the group, as TRL has it (sample std); 0 where there is no reward."""
        known = self.known
        if len(known) < 2:
            return [0.0 for _ in self.rewards]
        mean = sum(known) / len(known)
        std = (sum((reward - mean) ** 2 for reward in known) / (len(known) - 1)) ** 0.5
        below = std + 1e-4 if scale else 1.0
        return [0.0 if reward is None else (reward - mean) / below for reward in self.rewards]
