"""The questions of a dataset: read, worded, split, each gold answer checked; what is refused is kept track of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any

from factory.core.errors import BadInput
from factory.core.records import Row, Split, Verdict
from factory.tasks._dataset import Dataset
from factory.tasks._golds import Judge, accepted, record_of, refused_golds
from factory.tasks._style import Question, Worded
from factory.tasks._task import Refusal, Source

SPLITS: tuple[Split, ...] = ("train", "dev", "test")


ROW = ", row "


class Unusable(Exception):
    """A row that has its fields and is still no question; it is refused, and the text says why."""


Make = Callable[[dict[str, Any], str, Source], tuple[Question, Split] | None]
"""(row, name of its part, source) -> its question and split, None to pass it over; may raise `Unusable`."""


@dataclass(frozen=True)
class Loaded:
    """What a dataset gives.

    Attributes:
        splits: questions by split, in the order of the files.
        places: where each question was read, by id.
        refused: rows that are not used.
    """

    splits: Mapping[Split, list[Question]]
    places: Mapping[str, str]
    refused: list[Refusal]

    def counts(self) -> dict[str, int]:
        """Questions of each split, and the refused ones."""
        return {**{split: len(found) for split, found in self.splits.items()}, "refused": len(self.refused)}


class Checked:
    """The `questions` of a `Worded`, from a dataset.

    Args:
        version: of the task; with its name, what the record of checks is kept by.
        dataset: where the rows are. Of a question that comes twice, the one in the earlier part is kept.
        make: a row's question.
        verify: the task's verifier.
        style: in which gold answers are checked.
        judge: what is asked of a gold answer's verdict.
        splits: those that have questions.
    """

    def __init__(
        self,
        version: int,
        dataset: Dataset,
        make: Make,
        verify: Callable[[str, Row], Verdict],
        style: str,
        judge: Judge = accepted,
        splits: tuple[Split, ...] = SPLITS,
    ) -> None:
        self.version, self.dataset, self.splits = version, dataset, splits
        self._make, self._verify, self._style, self._judge = make, verify, style, judge
        self._kept: tuple[object, Loaded] | None = None
        self._lock = RLock()

    def __call__(self, split: Split, source: Source) -> Sequence[Question]:
        """The questions of a split.

        Raises:
            BadInput: the rows cannot be had, none of a part is usable, or there is no such split.
        """
        if split not in self.splits:
            raise BadInput(f"task {self.dataset.task} has no {split} split, only {' and '.join(self.splits)}")
        return self._loaded(source).splits[split]

    def refused(self, source: Source) -> Sequence[Refusal]:
        """The rows that are not used."""
        return self._loaded(source).refused

    def counts(self, source: Source) -> dict[str, int]:
        """Rows of each split; no gold answer is checked for it, and until all are, `unchecked` says so."""
        if record_of(self._record, self.dataset.fingerprint(source)).is_file():
            return self._loaded(source).counts()
        return {**self._read(source).counts(), "unchecked": True}

    @property
    def _record(self) -> str:
        return f"{self.dataset.task} {self.version}"

    def _loaded(self, source: Source) -> Loaded:
        key = (source.data, self.dataset.fingerprint(source))
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = (key, self._with_golds_checked(self._read(source), source, key[1]))
            return self._kept[1]

    def _with_golds_checked(self, read: Loaded, source: Source, fingerprint: str) -> Loaded:
        worded = Worded(self, self._style)
        rows = [worded.row(question) for found in read.splits.values() for question in found]
        wrong = refused_golds(self._record, fingerprint, rows, self._verify, self._judge)
        kept = {split: [q for q in found if q.id not in wrong] for split, found in read.splits.items()}
        refused = [*read.refused, *(Refusal(read.places[name], reason) for name, reason in wrong.items())]
        used = {_part_of(read.places[question.id]) for found in kept.values() for question in found}
        for one in refused:
            if _part_of(one.where) not in used:
                raise BadInput(f"task {self.dataset.task}: no row can be used; {one.where}: {one.reason}")
        return Loaded(kept, read.places, refused)

    def _read(self, source: Source) -> Loaded:
        splits: dict[Split, list[Question]] = {split: [] for split in self.splits}
        places: dict[str, str] = {}
        refused = []
        for part in self.dataset.parts:
            where = self.dataset.place(part, source)
            for number, plain in enumerate(self.dataset.rows(part, source)):
                place = f"{where}{ROW}{number}"
                try:
                    made = self._make(plain, part, source)
                    if made is None:
                        continue
                    question, split = made
                    if question.id in places:
                        raise Unusable(f"the same question as {places[question.id]}")
                except Unusable as error:
                    refused.append(Refusal(place, str(error)))
                    continue
                places[question.id] = place
                splits[split].append(question)
        return Loaded(splits, places, refused)


def _part_of(place: str) -> str:
    return place.rpartition(ROW)[0]
