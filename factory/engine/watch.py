"""Progress for people: bars on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from factory.core.progress import Report
from factory.engine.local import Watcher
from factory.engine.plan import Job

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_EVERY_SECONDS = 10.0


@contextmanager
def watching(total: int) -> Iterator[Watcher]:
    """A watcher that suits where stderr goes."""
    if not sys.stderr.isatty():
        yield Lines(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[say]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bars(progress, total)


@contextmanager
def telling(name: str) -> Iterator[Report]:
    """Progress of one piece of work that is no job: a bar on a terminal, a line every ten seconds elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task(name, total=1.0)

            def move(text: str, done: float | None = None) -> None:
                progress.update(bar, completed=done, description=text)

            yield move
        return
    said = time.monotonic()

    def tell(text: str, done: float | None = None) -> None:
        nonlocal said
        if time.monotonic() - said >= LINE_EVERY_SECONDS:
            said = time.monotonic()
            share = "" if done is None else f" ({done:.0%})"
            print(f"{name}: {text}{share}", file=sys.stderr, flush=True)

    yield tell


class Lines:
    """One line when a job starts and ends, and one every ten seconds between."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._since: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def started(self, job: Job) -> None:
        """Say so."""
        self._since[job.ref.key] = self._said[job.ref.key] = time.monotonic()
        if job.stage != "matrix":
            print(f"{job.stage}: {job.ref.title} ...", file=sys.stderr, flush=True)

    def progress(self, job: Job, text: str, done: float | None) -> None:
        """Say it if nothing was said for a while."""
        del done
        if time.monotonic() - self._said[job.ref.key] >= LINE_EVERY_SECONDS:
            self._said[job.ref.key] = time.monotonic()
            print(f"{job.stage}: {job.ref.title}: {text}", file=sys.stderr, flush=True)

    def finished(self, job: Job) -> None:
        """Say how long it took."""
        self._done += 1
        seconds = time.monotonic() - self._since[job.ref.key]
        print(f"[{self._done}/{self._total}] {job.ref.title} done in {seconds:.1f} s", file=sys.stderr, flush=True)


class Bars:
    """One bar for the run and one for each running job."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._all = progress.add_task("study", total=total, say=f"0/{total} jobs")
        self._total, self._done = total, 0
        self._bars: dict[str, int] = {}

    def started(self, job: Job) -> None:
        """A new bar."""
        self._bars[job.ref.key] = self._progress.add_task(f"{job.ref.kind}:{job.ref.name}", total=1.0, say="")

    def progress(self, job: Job, text: str, done: float | None) -> None:
        """Move its bar."""
        self._progress.update(self._bars[job.ref.key], completed=done, say=text)  # type: ignore[arg-type]

    def finished(self, job: Job) -> None:
        """Take its bar away."""
        self._done += 1
        self._progress.remove_task(self._bars.pop(job.ref.key))  # type: ignore[arg-type]
        self._progress.update(self._all, completed=self._done, say=f"{self._done}/{self._total} jobs")
