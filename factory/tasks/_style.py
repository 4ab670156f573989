"""Prompt styles as data: how an answer is asked for, and how it is marked in the completion.

A task words its questions; a style makes prompts of them. So one task can be trained in one style and scored in
another: `math@boxed`, `gsm8k@tag`, `countdown@boxed@raw`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from factory.core.records import Row, Split
from factory.tasks._on_demand import OnDemand
from factory.tasks._task import Source

RAW_FRAME = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "
    "first thinks about the reasoning process in the mind and then provides the user with the answer.\n"
    "User: {question}\nAssistant: Let me solve this step by step."
)
"""The frame of prompts for bases without a chat template (DeepSeek-R1-Zero's, as MT-GRPO has it)."""


@dataclass(frozen=True, slots=True)
class Style:
    """How an answer is asked for and marked.

    Attributes:
        ask: what is added to a question.
        answer: the marked answer, with `{answer}` where it stands.
    """

    ask: str
    answer: str


STYLES: dict[str, Style] = {
    "tag": Style(" Think step by step and give the answer as <answer>ANSWER</answer>.", "<answer>{answer}</answer>"),
    "boxed": Style(" Think step by step and put the final answer in \\boxed{}.", "\\boxed{{{answer}}}"),
    "hashes": Style(" Solve it step by step and give the answer after ####.", "#### {answer}"),
    "plain": Style("", "{answer}"),
}
"""By the name that verifiers know the mark by."""


@dataclass(frozen=True, slots=True)
class Question:
    """A row before it has a style.

    Attributes:
        id: stable name; styles share it.
        text: what is asked, up to where it is said how to answer.
        answer: as it stands between its marks.
        reference: what the verifier needs, its `style` aside.
        work: a worked solution, to stand before the answer in the gold completion.
        difficulty: the task's own scale.
        tail: what is asked after it was said how to answer.
    """

    id: str
    text: str
    answer: str
    reference: Mapping[str, Any]
    work: str = ""
    difficulty: int | None = None
    tail: str = ""


@dataclass(frozen=True)
class Worded:
    """The `rows` of a task that words its questions and leaves the style open.

    Attributes:
        questions: of a split, always the same in the same order.
        style: name of the style.
        raw: whether prompts are plain text to be continued.
        asks: the task's own words for a style's `ask`, by style.
        levels: by difficulty, the level alone, where it has its own questions or words.
        styles: those that the verifier can read.
    """

    questions: Callable[[Split, Source], Sequence[Question]]
    style: str
    raw: bool = False
    asks: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[int, Worded] = field(default_factory=dict)
    styles: tuple[str, ...] = tuple(STYLES)

    def __call__(self, split: Split, source: Source) -> Sequence[Row]:
        """The rows of a split; made one by one where the questions are."""
        questions = self.questions(split, source)
        if isinstance(questions, (list, tuple)):
            return [self.row(question) for question in questions]
        return OnDemand(len(questions), lambda place: self.row(questions[place]))

    def row(self, question: Question) -> Row:
        """One question in this style."""
        style = STYLES[self.style]
        prompt = question.text + self.asks.get(self.style, style.ask) + question.tail
        if self.raw:
            prompt = RAW_FRAME.replace("{question}", prompt)
        gold = f"{question.work}\n{style.answer.format(answer=question.answer)}".lstrip()
        reference = {**question.reference, "style": self.style}
        asked = question.text + question.tail
        return Row(question.id, prompt, gold, reference, question.difficulty, self.raw, question=asked)

    def of_level(self, difficulty: int) -> Worded:
        """The questions of one difficulty."""
        if difficulty in self.levels:
            return self.levels[difficulty]

        def questions(split: Split, source: Source) -> Sequence[Question]:
            return [question for question in self.questions(split, source) if question.difficulty == difficulty]

        return replace(self, questions=questions)

    def styled(self, style: str) -> Worded:
        """The same questions in another style, or `raw`."""
        return replace(self, raw=True) if style == "raw" else replace(self, style=style)
