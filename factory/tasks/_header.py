"""The header of a task that is a JSONL file: what its rows are, how they are asked and how they are checked.

---
summary: capitals of countries
licence: CC0-1.0
prompt: What is the capital of {country}?
answer: capital
verifier: exact
options: {fold: true}
style: tag
---
{"country": "France", "capital": "Paris"}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from factory.core.config import Strict
from factory.core.errors import UnknownName

MARK = "---"


@dataclass(frozen=True, slots=True)
class Check:
    """A verifier that a header may name.

    Attributes:
        answer: what its reference calls the answer; "" if the reference does not hold it.
        styles: in which it finds an answer, the usual one first.
        options: what its reference may hold besides.
        components: of its verdicts.
    """

    answer: str
    styles: tuple[str, ...]
    options: tuple[str, ...] = ()
    components: tuple[str, ...] = ("format",)


CHECKS: dict[str, Check] = {
    "exact": Check("answer", ("tag", "boxed", "hashes", "plain"), ("fold",)),
    "numeric": Check("answer", ("hashes", "boxed", "tag")),
    "math": Check("answer", ("boxed", "hashes", "tag")),
    "choice": Check("answer", ("tag", "boxed", "plain"), ("choices",)),
    "name": Check("target", ("tag", "boxed")),
    "sql": Check("query", ("plain", "tag"), ("schema", "keep_distinct", "seconds"), ("format", "runs")),
    "python": Check(
        "",
        ("plain", "tag"),
        ("tests", "check", "entry_point", "prompt", "setup", "imports", "io", "seconds"),
        ("format", "runs", "tests"),
    ),
}

Share = Annotated[float, Field(gt=0, lt=1)]


class Shares(Strict):
    """Rows held out, chosen by a hash of the question; the rest is for training."""

    test: Share = 0.2
    dev: Share = 0.1

    @model_validator(mode="after")
    def _some_left(self) -> Shares:
        if self.test + self.dev >= 1:
            raise ValueError("test and dev together leave no rows for training")
        return self


class Header(Strict):
    """What stands between the two `---` lines.

    Attributes:
        summary, licence: for the catalogue.
        prompt: the question, with `{field}` where a row's field stands; braces of its own are doubled.
        answer: the field that holds the answer.
        verifier: one of `CHECKS`.
        options: constants of the verifier's reference.
        reference: fields of the row that the verifier's reference holds, by the reference's name.
        style: how the answer is marked; the verifier's usual one if left out.
        ask: how to answer, in the task's own words; the style's if left out.
        work: the field that holds a worked solution, to stand before the answer in the gold completion.
        difficulty: the field that holds a number.
        split: the field that says `train`, `dev` (or `validation`) or `test`, or the shares that are held out.
        chance: accuracy of a guesser who knows the format.
        answer_in_prompt: whether the answer stands in the prompt by nature.
        version: raised when prompts or verdicts should count as others.
    """

    summary: Annotated[str, Field(min_length=1)]
    licence: Annotated[str, Field(min_length=1)]
    prompt: Annotated[str, Field(min_length=1)]
    answer: Annotated[str, Field(min_length=1)]
    verifier: str
    options: dict[str, Any] = {}
    reference: dict[str, str] = {}
    style: str | None = None
    ask: str | None = None
    work: str | None = None
    difficulty: str | None = None
    split: Shares | str = Shares()
    chance: Annotated[float, Field(ge=0, le=1)] | None = None
    answer_in_prompt: bool = False
    version: Annotated[int, Field(ge=1)] = 1

    @field_validator("prompt")
    @classmethod
    def _plain_fields(cls, prompt: str) -> str:
        try:
            found = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(prompt)]
        except ValueError as error:
            raise ValueError(f"{error}; braces that are no field are doubled: {{{{ and }}}}") from error
        for name, spec, conversion in found:
            if name is not None and (not name.isidentifier() or spec or conversion):
                raise ValueError(f"{{{name}}} is no plain field; braces that are no field are doubled: {{{{ and }}}}")
        if not any(name for name, _, _ in found):
            raise ValueError("no {field} in it, so that all rows would ask the same")
        return prompt

    @property
    def check(self) -> Check:
        """The verifier's entry."""
        return CHECKS[self.verifier]

    @property
    def prompt_fields(self) -> list[str]:
        """The fields of a row that the prompt shows."""
        return [name for _, name, _, _ in Formatter().parse(self.prompt) if name]

    @property
    def usual_style(self) -> str:
        """The style of the task by its bare name."""
        return self.style or self.check.styles[0]

    def must_be_known(self, where: str) -> None:
        """Look for names that stand for nothing.

        Raises:
            UnknownName: the verifier, an option of it, or a style that it cannot read.
        """
        if self.verifier not in CHECKS:
            raise UnknownName("verifier", self.verifier, CHECKS, where)
        for name in (*self.options, *self.reference):
            if name not in self.check.options:
                raise UnknownName(f"option of verifier {self.verifier}", name, self.check.options, where)
        if self.usual_style not in self.check.styles:
            raise UnknownName(f"style of verifier {self.verifier}", self.usual_style, self.check.styles, where)

    def reference_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What the verifier needs of a row, its style aside."""
        found = {**self.options, **{name: row[field] for name, field in self.reference.items()}}
        return {**found, self.check.answer: str(row[self.answer])} if self.check.answer else found
