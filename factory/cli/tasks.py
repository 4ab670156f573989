"""`factory tasks`: the catalogue of tasks and benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from factory.cli._options import data_option, emit, json_option, store_option

REFUSED_SHOWN, MEMBERS_SHOWN = 5, 8


@click.command()
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Hold NAME to the laws of tasks: one line each, exit 1 if one is broken.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="With --check: rows of each split to look at.")
@data_option
@store_option
@json_option
def command(*, name: str | None, check: bool, limit: int | None, data: Path | None, store: Path, json: bool) -> None:
    """List the tasks and benchmarks with rows and licences; with NAME, sample prompts, the gold answer and its verdict.

    NAME may have options: `math@level5@tag`, `countdown@easy`, `gsm8k@revision=COMMIT`. A task of your own is
    tasks/NAME.py or tasks/NAME.jsonl in this folder.

    Rows are train/dev/test; `-6` says that six more are refused (NAME lists them with the reason), `?` that their gold
    answers are checked when they are first used.

    \b
    Examples:
      factory tasks
      factory tasks tiny_sql
      factory tasks gsm8k@boxed --data DIR --json
      factory tasks mine --check
    """
    from factory.core.errors import BadInput
    from factory.engine.catalogue import catalogue, laws, samples, source_of

    del store
    source = source_of(data)
    if name is None:
        if check:
            raise BadInput("--check needs the NAME of a task, for example factory tasks tiny_math --check")
        entries = catalogue(source)
        emit(entries, json, _listed(entries))
    elif check:
        result = laws(name, source, limit)
        emit(result, json, _judged(result))
        if not result["holds"]:
            sys.exit(1)
    else:
        found = samples(name, source)
        emit(found, json, _shown(found))


def _listed(entries: list[dict[str, Any]]) -> str:
    parts = []
    for kind in ("task", "benchmark"):
        lines = [_cells(entry) for entry in entries if entry["kind"] == kind]
        if lines:
            lines.insert(0, (kind, "rows", "licence", "levels", "chance", "from", ""))
            widths = [max(map(len, column)) for column in list(zip(*lines, strict=True))[:-1]] + [0]
            parts.append("\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines))
    return "\n\n".join(parts)


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    """A line of the list: what is known of a task or benchmark, and its summary or what is wrong with it."""
    scale, chance, members = entry.get("difficulty"), entry.get("chance"), entry.get("members")
    told = entry["problem"] if "problem" in entry and not entry.get("needs_data") else entry.get("summary") or ""
    return (
        entry["name"],
        f"{len(members)} members" if members else _rows(entry),
        entry.get("licence") or "",
        f"{scale[0]}-{scale[1]}" if scale else "",
        "" if chance is None else f"{chance:.2f}",
        entry.get("origin") or "",
        told,
    )


def _rows(entry: dict[str, Any]) -> str:
    """`train/dev/test`, less the refused ones; `?` where no gold answer was looked at yet."""
    found = entry.get("rows")
    if not found:
        return "?"
    text = "/".join(str(count) for split, count in found.items() if split != "refused")
    return text + (f" -{found['refused']}" if found.get("refused") else "") + (" ?" if entry.get("unchecked") else "")


def _shown(found: dict[str, Any]) -> str:
    rows = ", ".join(f"{count} {split}" for split, count in found["rows"].items() if count or split != "refused")
    lines = [f"{found['name']}: {found['summary']} ({rows})" if rows else f"{found['name']}: {found['summary']}"]
    lines += [f"licence  {found['licence']}", f"origin   {found['origin']}"]
    if found["chance"] is not None:
        lines += [f"chance   {found['chance']:.2f}"]
    if found.get("difficulty"):
        names = f" ({', '.join(f'@{name}' for name in found['levels'])})" if found["levels"] else ""
        lines += [f"levels   {found['difficulty'][0]} to {found['difficulty'][1]}{names}"]
    if found["styles"]:
        lines += [f"styles   {', '.join(f'@{name}' for name in found['styles'])}"]
    if found.get("members"):
        shown = ", ".join(found["members"][:MEMBERS_SHOWN])
        lines += [f"members  {shown}, ... {len(found['members'])} in all (--json lists them)"]
    lines += _refused(found.get("refused", []))
    for sample in found["samples"]:
        verdict = sample["verdict"]
        lines += ["", f"prompt   {_indented(sample['prompt'])}", f"gold     {_indented(sample['gold'])}"]
        lines += [f"verdict  score {verdict['score']}, {verdict['reason']}"]
    return "\n".join(lines)


def _judged(result: dict[str, Any]) -> str:
    rows = ", ".join(f"{count} {split}" for split, count in result["rows"].items())
    lines = [f"{result['task']}: looked at {rows}", *_refused(result["refused"])]
    for law in result["laws"]:
        lines += [f"{'holds ' if law['holds'] else 'BROKEN'}  {law['law']:<10}{law['problem'] or law['says']}"]
    return "\n".join(lines)


def _refused(found: list[dict[str, str]]) -> list[str]:
    shown = [f"         {one['where']}: {one['reason']}" for one in found[:REFUSED_SHOWN]]
    more = [f"         and {len(found) - len(shown)} more; --json lists all"] if len(found) > len(shown) else []
    return [f"refused  {len(found)} rows are not used", *shown, *more] if found else []


def _indented(text: str) -> str:
    return text.replace("\n", "\n         ")
