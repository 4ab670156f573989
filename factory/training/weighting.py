"""Weights over tasks: how much of a step each task gets, and how that follows what training shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, sqrt
from typing import Any, Literal, Protocol

ADAM_BETAS, ADAM_EPS = (0.9, 0.999), 1e-8


@dataclass(frozen=True, slots=True)
class Seen:
    """What one optimizer step showed of one task.

    Attributes:
        reward: mean over all completions that were generated for it, kept or not; None if there were none.
        accuracy: share of those that were correct; None likewise.
        improvement: mean change of the clipped surrogate objective over its sequences in the batch, after - before.
        sequences: of the task, in the batch.
        advantage: mean absolute advantage of its sequences in the batch.
    """

    reward: float | None = None
    accuracy: float | None = None
    improvement: float = 0.0
    sequences: int = 0
    advantage: float = 0.0


class Weights(Protocol):
    """Shares of the tasks in a step, and what changes them."""

    needs_improvement: bool

    def shares(self) -> dict[str, float]:
        """The share of each task in the next step; they sum to 1."""

    def observe(self, seen: Mapping[str, Seen]) -> None:
        """Learn from a step that is done."""

    def state(self) -> dict[str, Any]:
        """Everything that changes, as JSON."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""


@dataclass
class Fixed:
    """Shares that never change."""

    fixed: Mapping[str, float]
    needs_improvement: bool = False

    def shares(self) -> dict[str, float]:
        """The shares as given."""
        return dict(self.fixed)

    def observe(self, seen: Mapping[str, Seen]) -> None:
        """Nothing is learned."""

    def state(self) -> dict[str, Any]:
        """Nothing changes."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing changes."""


def softmax(logits: Mapping[str, float]) -> dict[str, float]:
    """Shares from logits; they sum to 1."""
    top = max(logits.values())
    powers = {name: exp(value - top) for name, value in logits.items()}
    total = sum(powers.values())
    return {name: power / total for name, power in powers.items()}


@dataclass
class ImprovementAware:
    """MT-GRPO's improvement-aware weight update (arXiv 2602.05547, Subroutine 1; no mirror descent, no floor).

    With z = softmax(xi): s_k = clip(I_k, -c, c) + lambda * J_k, the gradient is g_k = z_k (s_k - sum_j z_j s_j), and xi
    takes an Adam step against it: a task that is weak, or does not improve, gets more of the next step.

    Attributes:
        tasks: their names.
        lambda_: how much a task's level counts beside its improvement; large values serve the worst task.
        clip: c.
        rule: `paper`: J is the mean reward of this step, I a mean over sequences, AdamW. `code` (github
            rsshyam/MT-GRPO): J is the accuracy averaged with decay 0.5 from 0, I a sum over sequences with c scaled by
            learning_rate / 1e-6, Adam with the decay in the gradient.
        improvement: of what: the clipped `surrogate` objective, or the `accuracy` (the authors' cheap variant).
        rate, decay: Adam's learning rate and weight decay.
        policy_rate: the adapter's own learning rate, for the rule `code`.
    """

    tasks: list[str]
    lambda_: float = 0.25
    clip: float = 0.1
    rule: Literal["paper", "code"] = "paper"
    improvement: Literal["surrogate", "accuracy"] = "surrogate"
    rate: float = 0.025
    decay: float = 1e-5
    policy_rate: float = 1e-6
    logits: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.needs_improvement = self.improvement == "surrogate"
        self.logits = dict.fromkeys(self.tasks, 0.0)
        self._level = dict.fromkeys(self.tasks, 0.0)
        self._accuracy: dict[str, float] = {}
        self._first = dict.fromkeys(self.tasks, 0.0)
        self._second = dict.fromkeys(self.tasks, 0.0)
        self._steps = 0

    def shares(self) -> dict[str, float]:
        """z = softmax(xi)."""
        return softmax(self.logits)

    def observe(self, seen: Mapping[str, Seen]) -> None:
        """One step of xi."""
        signals = {task: self._signal(task, seen.get(task, Seen())) for task in self.tasks}
        z = self.shares()
        mean = sum(z[task] * signals[task] for task in self.tasks)
        self._adam({task: z[task] * (signals[task] - mean) for task in self.tasks})

    def _signal(self, task: str, seen: Seen) -> float:
        """s_k; a task that was not seen keeps its last level and has not improved."""
        level = seen.accuracy if self.rule == "code" else seen.reward
        if level is not None:
            self._level[task] = 0.5 * self._level[task] + 0.5 * level if self.rule == "code" else level
        limit, gain = self.clip, seen.improvement
        if self.improvement == "accuracy":
            before = self._accuracy.get(task)
            gain = 0.0 if before is None or seen.accuracy is None else seen.accuracy - before
            if seen.accuracy is not None:
                self._accuracy[task] = seen.accuracy
        elif self.rule == "code":
            gain, limit = gain * seen.sequences, self.clip * self.policy_rate / 1e-6
        return max(-limit, min(limit, gain)) + self.lambda_ * self._level[task]

    def _adam(self, gradient: Mapping[str, float]) -> None:
        self._steps += 1
        (b1, b2), t = ADAM_BETAS, self._steps
        for task in self.tasks:
            g = gradient[task]
            if self.rule == "code":
                g += self.decay * self.logits[task]
            else:
                self.logits[task] *= 1 - self.rate * self.decay
            self._first[task] = b1 * self._first[task] + (1 - b1) * g
            self._second[task] = b2 * self._second[task] + (1 - b2) * g * g
            step = (self._first[task] / (1 - b1**t)) / (sqrt(self._second[task] / (1 - b2**t)) + ADAM_EPS)
            self.logits[task] -= self.rate * step

    def state(self) -> dict[str, Any]:
        """Logits, Adam's moments, levels."""
        return {
            "logits": self.logits, "level": self._level, "accuracy": self._accuracy,
            "first": self._first, "second": self._second, "steps": self._steps,
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.logits, self._level, self._accuracy = state["logits"], state["level"], state["accuracy"]
        self._first, self._second, self._steps = state["first"], state["second"], state["steps"]


@dataclass
class Bandit:
    """SEC's bandit over tasks (self-evolving curriculum, arXiv 2505.14970, as MT-GRPO's baselines have it).

    Q_k <- (1 - a) Q_k + a * mean |advantage| of the task's sequences, 0 for a task that was not seen; shares are
    softmax(Q / temperature).
    """

    tasks: list[str]
    step: float = 0.5
    temperature: float = 0.2
    needs_improvement: bool = False

    def __post_init__(self) -> None:
        self.values = dict.fromkeys(self.tasks, 0.0)

    def shares(self) -> dict[str, float]:
        """softmax(Q / temperature)."""
        return softmax({task: value / self.temperature for task, value in self.values.items()})

    def observe(self, seen: Mapping[str, Seen]) -> None:
        """One step of Q."""
        for task in self.tasks:
            target = seen.get(task, Seen()).advantage
            self.values[task] = (1 - self.step) * self.values[task] + self.step * target

    def state(self) -> dict[str, Any]:
        """Q."""
        return {"values": self.values}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.values = state["values"]
