"""`factory verify`: scores completions that someone else made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from factory.cli._options import emit, json_option, store_option


@click.command()
@click.argument("name")
@click.option(
    "--input", "source", required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="ROWS.JSONL",
    help='Rows {"id", "completion", "row": {...}}; `row` is the dataset\'s own. `-` reads standard input.',
)  # fmt: skip
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="OUT.JSONL",
    help="Where the verdicts go; without it, to standard output. An interrupted run goes on where it was.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 256), help="Checks at a time.  [default: by cores]")
@click.option("--timeout", type=click.FloatRange(0.1, 20), metavar="SECONDS", help="Limit of one check.")
@click.option(
    "--databases", type=click.Path(path_type=Path), metavar="DIR",
    help="For spider: holds <db_id>/<db_id>.sqlite; several files there are a test suite.",
)  # fmt: skip
@click.option("--keep-distinct", is_flag=True, help="For spider: DISTINCT counts; by default it is stripped.")
@json_option
@store_option
def command(
    name: str,
    source: Path,
    output: Path | None,
    workers: int | None,
    timeout: float | None,
    databases: Path | None,
    keep_distinct: bool,
    json: bool,
    store: Path,
) -> None:
    """Score completions of the task or benchmark NAME.

    Model-written code and queries run isolated; a completion that cannot be scored (score null) is not a wrong one.

    \b
    Examples:
      factory verify gsm8k --input answers.jsonl --output verdicts.jsonl
      factory verify spider --input queries.jsonl --databases spider/database --workers 4
      cat rows.jsonl | factory verify mbpp --input -
    """
    del store
    from factory.verifiers.rows import Options
    from factory.verifiers.scoring import score

    options = Options(databases, keep_distinct, timeout)
    tally = score(name, source, output, options, workers=workers, check=_check_of(name, options), write=_write)
    summary: dict[str, Any] = {"name": name, "output": str(output) if output else None, **tally.summary()}
    text = f"{tally.rows} rows: {tally.correct} correct, {tally.unscorable} unscorable"
    if tally.resumed:
        text += f" ({tally.resumed} from an earlier run)"
    if output is None:
        click.echo(text, err=True)
    else:
        emit(summary, json, f"{text}\nwrote {output}")


def _write(line: str) -> None:
    click.echo(line, nl=False)


def _check_of(name: str, options: Any) -> Any:
    """The check of a dataset's rows, or of a task's: `row` is then `{"reference": {...}}`, or a line of its file."""
    from factory.verifiers.rows import FIELDS, verifier_for

    if name in FIELDS:
        return verifier_for(name, options)
    from factory.core.errors import BadInput, UnknownName
    from factory.core.records import Row
    from factory.tasks._find import find_task, stem_of, task_names

    tasks = task_names()
    if stem_of(name) not in tasks:
        raise UnknownName("task or benchmark", name, {*FIELDS, *tasks})
    task = find_task(name)

    def verify(completion: str, row: dict[str, Any]) -> Any:
        if "reference" not in row and task.own_row is not None:
            return task.verify(completion, task.own_row(row))
        if not isinstance(row.get("reference"), dict):
            raise BadInput(f"the row lacks 'reference'; a {name} row has prompt, gold and reference")
        return task.verify(completion, Row("", str(row.get("prompt", "")), str(row.get("gold", "")), row["reference"]))

    return verify
