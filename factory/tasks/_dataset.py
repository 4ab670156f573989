"""A dataset: the same rows from the Hub at one commit, or from files of an offline mirror."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from factory.core.errors import BadInput, UnknownName
from factory.core.hashing import key_of
from factory.tasks._hub import hub_revision, hub_rows
from factory.tasks._mirror import mirror_digest, mirror_file
from factory.tasks._rows import Fields, Rows, checked, read_rows
from factory.tasks._task import Source, Task

UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class Part:
    """One file of rows.

    Attributes:
        file: in the mirror.
        fields: what its rows must have.
        split: its name on the Hub.
        configs: the Hub's configurations that make it up.
        hub_fields: what rows of the Hub must have, where it is not the same.
    """

    file: str
    fields: Fields
    split: str = ""
    configs: tuple[str, ...] = ("default",)
    hub_fields: Fields = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """Where a task's rows are.

    Attributes:
        task: its name, for what is said when something is wrong.
        hub: the dataset's id; "" if the Hub does not have it.
        parts: by name, in the order in which they are read.
        others: further files of the mirror that rows depend on.
        member: of the task's, whose rows they are.
        revision: what the user pinned; None for what the Hub has when the study is planned.
    """

    task: str
    hub: str
    parts: Mapping[str, Part]
    others: tuple[str, ...] = ()
    member: str = ""
    revision: str | None = None

    def fingerprint(self, source: Source) -> str:
        """The hash of the mirror's files, or the commit on the Hub; where the source is dry, it need not be known.

        Raises:
            BadInput: a file is missing, the Hub cannot be asked, or does not have the dataset.
        """
        if source.data is None:
            try:
                return hub_revision(self._hub_id(), self.revision, source)
            except BadInput as error:
                if not source.dry:
                    raise
                source.missing[self.task] = str(error)
                return UNRESOLVED
        if self.revision is not None:
            raise BadInput(
                f"task {self.task}@revision={self.revision}: revisions are the Hub's, rows are read from the mirror "
                f"{source.data}; leave one of them out"
            )
        return key_of([mirror_digest(source, name) for name in (*self.others, *self._files())])

    def rows(self, part: str, source: Source) -> Rows:
        """The rows of a part, their fields checked.

        Raises:
            BadInput: they cannot be had, or a field is missing.
            CorruptFile: the mirror's file is damaged.
        """
        found = self.parts[part]
        if source.data is not None:
            return checked(read_rows(mirror_file(source, found.file)), found.fields, self.place(part, source))
        commit = hub_revision(self._hub_id(), self.revision, source)
        plain = hub_rows(self.hub, found.configs, found.split, commit)
        return checked(plain, found.hub_fields or found.fields, self.place(part, source))

    def place_of_row(self, part: str, source: Source, number: int) -> str:
        """What a row is called when something is said of it."""
        return f"{self.place(part, source)}, row {number}"

    def place(self, part: str, source: Source) -> str:
        """What a part is called when something is said of it."""
        found = self.parts[part]
        return found.file if source.data is not None else f"{self.hub} {found.split}"

    def _files(self) -> list[str]:
        return [part.file for part in self.parts.values()]

    def _hub_id(self) -> str:
        if not self.hub:
            raise BadInput(
                f"task {self.task}: its rows ({', '.join(self._files())}) are not on the Hub; give an offline mirror "
                "with --data DIR or FACTORY_DATA"
            )
        return self.hub


def of_datasets(
    first: Dataset, *others: Dataset, make: Callable[[Dataset], Task]
) -> Callable[[str, Mapping[str, str]], Task]:
    """A module's `task(member, settings)`: what `make` makes of the member's dataset, at the revision in the settings.

    Args:
        first: of the task by its bare name.
        others: of its members.
        make: a task of a dataset; asked once for each.
    """
    datasets = {dataset.member: dataset for dataset in (first, *others)}

    @lru_cache(maxsize=8)
    def made(member: str, revision: str | None) -> Task:
        return make(replace(datasets[member], revision=revision))

    def task(member: str, settings: Mapping[str, str]) -> Task:
        name = first.task
        if member not in datasets:
            if len(datasets) == 1:
                raise BadInput(f"task '{name}:{member}': {name} has no members")
            raise UnknownName(f"member of task {name}", member, [known for known in datasets if known])
        for setting in settings:
            if setting != "revision":
                raise UnknownName(f"setting of task {name}", setting, ["revision"])
        return made(member, settings.get("revision"))

    return task
