"""The records that stages hand to one another. Plain data, JSON in and out, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt with a checkable answer.

    Attributes:
        id: stable name of the row inside its task, a content hash or the source's own id.
        prompt: what the user turn says; the chat template is added when it is tokenised, unless `raw`.
        gold: a whole completion that answers it, as the task's prompt asks for it.
        reference: what the verifier needs; JSON-serialisable.
        difficulty: the task's own scale, None where it has none.
        raw: whether the prompt is plain text to be continued, chat template or not.
        shots: worked examples that stand before the prompt, (what is asked, its answer) each.
        question: what is asked, without how to answer; "" where the prompt is nothing else.
    """

    id: str
    prompt: str
    gold: str
    reference: Mapping[str, Any]
    difficulty: int | None = None
    raw: bool = False
    shots: tuple[tuple[str, str], ...] = ()
    question: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one completion.

    Attributes:
        score: in [0, 1]; None when the verifier itself failed, which is not the same as wrong.
        correct: whether the completion truly solves the row; None with `score` None.
        components: named parts in [0, 1], for rewards and logs (`format`, `runs`, ...).
        reason: one short sentence, for people.
        seconds: wall time the check took.
    """

    score: float | None
    correct: bool | None
    components: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, correct: bool, reason: str = "", *, seconds: float = 0.0, **components: float) -> Verdict:
        """A verdict that is simply right (1) or wrong (0)."""
        return cls(float(correct), correct, components, reason, seconds)

    @classmethod
    def unscorable(cls, reason: str, *, seconds: float = 0.0) -> Verdict:
        """The verifier failed; the completion is neither right nor wrong."""
        return cls(None, None, {}, reason, seconds)


@dataclass(frozen=True, slots=True)
class Share:
    """A mean of one of a verdict's components, reported beside the accuracy: `the steps that are right, where any are`.

    Attributes:
        component: what is averaged.
        given: over which completions: "" all that are scorable, `correct` those that solve their row, else those for
            which this component is not 0.
    """

    component: str
    given: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one variant did on one item of a benchmark: every sample kept.

    Attributes:
        item: the row's id.
        scores: one per sample, None where unscorable; the greedy answer is not among them.
        greedy: the score of the greedy completion, None when there is none or it is unscorable.
        completions: the sampled texts, then the greedy one if there is one.
        reasons: one per completion.
        tokens: generated tokens of each completion.
        metrics: other measures of the greedy answer (`acc`, `acc_norm`, ...), by name.
        components: of the verdicts, one mapping per completion; [] for benchmarks that report no share of them.
    """

    item: str
    scores: list[float | None]
    greedy: float | None
    completions: list[str]
    reasons: list[str]
    tokens: list[int]
    metrics: dict[str, float] = field(default_factory=dict)
    components: list[dict[str, float]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Outcome:
        """From a JSON object, as `to_json` wrote it."""
        return cls(**value)
