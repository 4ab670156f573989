"""A task without Python: `tasks/NAME.jsonl`, a YAML header between two `---` lines, then one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from factory.core.config import mapping_in, parse
from factory.core.errors import BadInput, CorruptFile
from factory.core.hashing import key_of, unit_from
from factory.core.records import Row, Split, Verdict
from factory.tasks._checked import Checked
from factory.tasks._header import MARK, Header, Shares
from factory.tasks._mirror import digest_of
from factory.tasks._rows import Rows
from factory.tasks._style import Question, Worded
from factory.tasks._task import Source, Task

SPLITS: dict[str, Split] = {"train": "train", "dev": "dev", "validation": "dev", "test": "test"}
PART = "rows"


def task_of_file(path: Path) -> Task:
    """The task that a file is.

    Raises:
        BadInput: the header is missing or wrong, or a row lacks what the header names; the text has the line.
        CorruptFile: a line is not JSON.
    """
    return _task(path, digest_of(path))


@lru_cache(maxsize=8)
def _task(path: Path, content: str) -> Task:
    file = JsonlFile(path, content)
    header = file.header
    check: Any = import_module(f"factory.verifiers.{header.verifier}").verify

    def verify(completion: str, row: Row) -> Verdict:
        verdict: Verdict = check(completion, row.reference)
        return verdict

    found = {file.split_of(row) for row in file.plain}
    splits = tuple(split for split in ("train", "dev", "test") if split in found)
    questions = Checked(header.version, file, file.question, verify, header.usual_style, splits=splits)
    asks = {} if header.ask is None else {header.usual_style: f" {header.ask.strip()}".rstrip()}
    rows = Worded(questions, header.usual_style, asks=asks, styles=header.check.styles)
    return Task(
        name=path.stem,
        version=header.version,
        summary=header.summary,
        licence=header.licence,
        origin=str(path),
        rows=rows,
        verify=verify,
        components=header.check.components,
        chance=header.chance,
        answer_in_prompt=header.answer_in_prompt,
        fingerprint=file.fingerprint,
        refused=questions.refused,
        splits=splits,
        counts=questions.counts,
        own_row=lambda plain: rows.row(file.asked(file.judgeable(plain, "the row"))),
        local=True,
    )


class JsonlFile:
    """The file, read and looked through; what `Checked` takes rows from."""

    def __init__(self, path: Path, content: str) -> None:
        self.path, self.task, self._content = path, path.stem, content
        try:
            lines = path.read_bytes().decode().split("\n")
        except UnicodeDecodeError as error:
            raise CorruptFile(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
        except OSError as error:
            raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
        marks = [number for number, line in enumerate(lines) if line.rstrip() == MARK][:2]
        if len(marks) < 2 or any(line.strip() for line in lines[: marks[0]]):
            raise BadInput(
                f"{path}: no header; expected a line '{MARK}', YAML, and another line '{MARK}' before the rows"
            )
        where = f"{path}, header"
        self.header = parse(Header, mapping_in("\n".join(lines[marks[0] + 1 : marks[1]]), where), where)
        self.header.must_be_known(where)
        self._numbers: list[int] = []
        self.plain: Rows = []
        for number, line in enumerate(lines[marks[1] + 1 :], marks[1] + 2):
            if line.strip():
                self.plain.append(self._row(line, f"{path}, line {number}"))
                self._numbers.append(number)
        if not self.plain:
            raise BadInput(f"{path}: no rows after the header; expected one JSON object a line")

    @property
    def parts(self) -> Iterable[str]:
        """The one part."""
        return (PART,)

    def fingerprint(self, source: Source) -> str:
        """The file's content hash."""
        del source
        return self._content

    def rows(self, part: str, source: Source) -> Rows:
        """The rows, as the file has them."""
        del part, source
        return self.plain

    def place_of_row(self, part: str, source: Source, number: int) -> str:
        """File and line."""
        del part, source
        return f"{self.path}, line {self._numbers[number]}"

    def split_of(self, row: dict[str, Any]) -> Split:
        """The split of a row: its own word, or by a hash of its question."""
        rule = self.header.split
        if not isinstance(rule, Shares):
            return SPLITS[row[rule]]
        place = unit_from("split", self.task, self._text(row))
        return "test" if place < rule.test else "dev" if place < rule.test + rule.dev else "train"

    def question(self, row: dict[str, Any], part: str, source: Source) -> tuple[Question, Split]:
        """A row's question and split."""
        del part, source
        header, made = self.header, self.asked(row)
        work = str(row[header.work]) if header.work else ""
        difficulty = int(row[header.difficulty]) if header.difficulty else None
        return replace(made, work=work, difficulty=difficulty), self.split_of(row)

    def asked(self, row: dict[str, Any]) -> Question:
        """What a row asks and how its answer is judged, which is all that completions made elsewhere need."""
        text = self._text(row)
        return Question(key_of(self.task, text), text, str(row[self.header.answer]), self.header.reference_of(row))

    def judgeable(self, row: dict[str, Any], where: str) -> dict[str, Any]:
        """A row that has all that `asked` takes.

        Raises:
            BadInput: it lacks a field, or one is neither a text nor a number.
        """
        texts = [*self.header.prompt_fields, self.header.answer]
        _must_have(row, [*texts, *self.header.reference.values()], where)
        _must_be_texts(row, texts, where)
        return row

    def _text(self, row: dict[str, Any]) -> str:
        return self.header.prompt.format_map({name: row[name] for name in self.header.prompt_fields}).strip()

    def _row(self, line: str, where: str) -> dict[str, Any]:
        """A row that has all that the header names."""
        header = self.header
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorruptFile(f"{where}: not valid JSON ({error})") from error
        if not isinstance(row, dict):
            raise BadInput(f"{where}: expected an object with named fields, got a {type(row).__name__}")
        self.judgeable(row, where)
        work = [header.work] if header.work else []
        split = [header.split] if isinstance(header.split, str) else []
        _must_have(row, [*work, *([header.difficulty] if header.difficulty else ()), *split], where)
        _must_be_texts(row, work, where)
        if header.difficulty and (
            isinstance(row[header.difficulty], bool) or not isinstance(row[header.difficulty], int)
        ):
            got = json.dumps(row[header.difficulty])[:60]
            raise BadInput(f"{where}: '{header.difficulty}' should be a whole number, got {got}")
        for name in split:
            if row[name] not in SPLITS:
                raise BadInput(f"{where}: '{name}' is {json.dumps(row[name])[:60]}; expected {', '.join(SPLITS)}")
        return row


def _must_have(row: dict[str, Any], fields: Iterable[str], where: str) -> None:
    for name in fields:
        if name not in row:
            raise BadInput(f"{where}: no '{name}'; the row has {', '.join(sorted(row)) or 'no field'}")


def _must_be_texts(row: dict[str, Any], fields: Iterable[str], where: str) -> None:
    for name in fields:
        if not isinstance(row[name], str | int | float) or not str(row[name]).strip():
            raise BadInput(f"{where}: '{name}' should be a text or a number, got {json.dumps(row[name])[:60]}")
