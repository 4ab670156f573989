"""Progress for people: bars on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from factory.core.progress import Report
from factory.engine.follow import Follow
from factory.engine.local import Watcher
from factory.engine.panel import WINDOW, explained, panel
from factory.engine.plan import Job
from factory.store.store import Store
from factory.training.loss import loss_note
from factory.training.metrics import FILE as METRICS

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

LINE_EVERY_SECONDS = 10.0


@contextmanager
def watching(store: Store, total: int) -> Iterator[Watcher]:
    """A watcher that suits where stderr goes.

    Args:
        store: where trainings keep their metrics while they go on.
        total: jobs to come.
    """
    if not sys.stderr.isatty():
        yield Lines(store, total)
        return
    from rich.console import Console
    from rich.live import Live

    view = Bars(store, total)
    console = Console(stderr=True)
    with Live(view, console=console, transient=True, refresh_per_second=4, vertical_overflow="crop"):
        yield view


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

    def __init__(self, store: Store, total: int) -> None:
        self._store, self._total, self._done = store, total, 0
        self._since: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._explained = False

    def started(self, job: Job) -> None:
        """Say so."""
        self._since[job.ref.key] = self._said[job.ref.key] = time.monotonic()
        if job.stage != "matrix":
            print(f"{job.stage}: {job.ref.title} ...", file=sys.stderr, flush=True)

    def progress(self, job: Job, text: str, done: float | None) -> None:
        """Say it if nothing was said for a while; with the first loss that is about 0, why it is."""
        del done
        if time.monotonic() - self._said[job.ref.key] >= LINE_EVERY_SECONDS:
            self._said[job.ref.key] = time.monotonic()
            print(f"{job.stage}: {job.ref.title}: {text}", file=sys.stderr, flush=True)
            if "loss" in text and not self._explained:
                self._explain(job)

    def _explain(self, job: Job) -> None:
        log = Follow(self._store.work(job.ref) / METRICS)
        log.read()
        note = loss_note(log.lines[-1]) if log.lines else None
        if note is not None:
            self._explained = True
            print(f"note: {note}", file=sys.stderr, flush=True)

    def finished(self, job: Job) -> None:
        """Say how long it took."""
        self._done += 1
        seconds = time.monotonic() - self._since[job.ref.key]
        print(f"[{self._done}/{self._total}] {job.ref.title} done in {seconds:.1f} s", file=sys.stderr, flush=True)


class Bars:
    """The tasks of each running training, and one bar for the run and for each running job."""

    def __init__(self, store: Store, total: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._store = store
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[say]}"),
        )
        self._all = self._progress.add_task("study", total=total, say=f"0/{total} jobs")
        self._total, self._done = total, 0
        self._bars: dict[str, Any] = {}
        self._logs: dict[str, tuple[Job, Follow]] = {}

    def started(self, job: Job) -> None:
        """A new bar."""
        self._bars[job.ref.key] = self._progress.add_task(f"{job.ref.kind}:{job.ref.name}", total=1.0, say="")
        if job.stage == "adapters":
            self._logs[job.ref.key] = job, Follow(self._store.work(job.ref) / METRICS)

    def progress(self, job: Job, text: str, done: float | None) -> None:
        """Move its bar; of a training, look what it has logged since."""
        log = self._logs.get(job.ref.key)
        if log is not None and done:
            log[1].read()
        # What the panel shows need not be said beside the bar.
        say = text.partition(":")[0] if log is not None and log[1].lines else text
        self._progress.update(self._bars[job.ref.key], completed=done, say=say)

    def finished(self, job: Job) -> None:
        """Take its bar away."""
        self._done += 1
        self._logs.pop(job.ref.key, None)
        self._progress.remove_task(self._bars.pop(job.ref.key))
        self._progress.update(self._all, completed=self._done, say=f"{self._done}/{self._total} jobs")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        """As many trainings as the terminal has the height for, then the bars."""
        from rich.text import Text

        room = options.size.height - len(self._bars) - 2
        notes: list[str] = []
        for job, log in list(self._logs.values()):
            text = panel(log.lines, options.max_width) if log.lines else []
            if text and room > len(text) + 2:
                room -= len(text) + 2
                notes = notes or explained(log.lines, options.max_width)
                heading = f"{job.ref.title}, means of the last {min(len(log.lines), WINDOW)} steps"
                yield Text(heading, style="bold", overflow="ellipsis", no_wrap=True)
                yield Text("\n".join(text) + "\n", overflow="crop", no_wrap=True)
        if notes and room > len(notes):
            yield Text("\n".join(notes) + "\n", style="dim")
        yield self._progress
