"""How a training goes, task by task, as lines of text that fit a width: live on a terminal, and in `factory show`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory.training.loss import loss_note
from factory.training.metrics import mean

Line = Mapping[str, Any]
WINDOW = 10
NONE = "–"
BARS = "▁▂▃▄▅▆▇█"
TREND = 24
LONGEST_NAME = 18


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        head: its heading.
        rank: the columns with the highest are left out first where the room is short.
        of: the text for a task.
    """

    head: str
    rank: int
    of: Callable[[str], str]


def panel(lines: Sequence[Line], width: int) -> list[str]:
    """Means over the last steps of each task, the worst task and the average.

    The columns: each reward component; `reward`, their weighted sum; `differ`, the share of groups whose rewards
    differ; `accept`, the share that the strategy's filter takes; `z`, the task's weight; `quota` and `got`, groups a
    step that it was to have and had; `gain`, the improvement of the surrogate objective; `tokens`, a completion's
    length; and the share of correct completions over the whole training.

    Args:
        lines: of the metrics file, at least one; [] for a training that logs no tasks.
    """
    lines = [line for line in lines if line.get("tasks")]
    if not lines:
        return []
    tasks = list(dict.fromkeys(task for line in lines for task in line["tasks"]))
    recent = lines[-WINDOW:]
    columns = _columns(lines, recent, tasks)
    names = {task: _cut(task, LONGEST_NAME) for task in tasks}
    text = _table(columns, names, "  ")
    while max(map(len, text)) > width and columns:
        text = _table(columns, names, " ")
        if max(map(len, text)) > width:
            columns.remove(max(columns, key=lambda column: column.rank))
            text = _table(columns, names, "  ")
    for sentence in (_summary(recent, tasks), _costs(recent)):
        text += textwrap.wrap(sentence, width)
    return text


def explained(lines: Sequence[Line], width: int) -> list[str]:
    """What the newest step's loss means where it is about 0; [] where it is not."""
    note = loss_note(lines[-1]) if lines else None
    return textwrap.wrap(note, width) if note else []


def _table(columns: Sequence[Column], names: Mapping[str, str], gap: str) -> list[str]:
    rows = [["task", *(column.head for column in columns)]]
    rows += [[name, *(column.of(task) for column in columns)] for task, name in names.items()]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        gap.join([row[0].ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def _columns(lines: Sequence[Line], recent: Sequence[Line], tasks: Sequence[str]) -> list[Column]:
    entries = {task: [line["tasks"][task] for line in recent if task in line["tasks"]] for task in tasks}
    strategy = [line.get("strategy") or {} for line in recent]
    components = list(dict.fromkeys(name for task in tasks for one in entries[task] for name in _parts(one)))

    def component(name: str) -> Callable[[str], str]:
        return lambda task: _share(mean([_parts(one).get(name) for one in entries[task]]))

    def field(name: str, digits: int = 2) -> Callable[[str], str]:
        return lambda task: _share(mean([one.get(name) for one in entries[task]]), digits)

    def of_strategy(name: str, digits: int = 2, sign: str = "") -> Callable[[str], str]:
        return lambda task: _share(mean([(one.get(name) or {}).get(task) for one in strategy]), digits, sign)

    found = [Column(name, 0 if name == "correct" else 5, component(name)) for name in components]
    if len(components) > 1:
        found.append(Column("reward", 6, field("reward")))
    found.append(Column("differ", 2, lambda task: _rate(entries[task], _differ)))
    found.append(Column("accept", 3, lambda task: _rate(entries[task], _accepted)))
    found.append(Column("z", 1, of_strategy("weights")))
    if any(one.get("quota") for one in strategy):
        found.append(Column("quota", 3, of_strategy("quota", 1)))
    found.append(Column("got", 2, field("kept", 1)))
    if any(one.get("improvement") for one in strategy):
        found.append(Column("gain", 3, of_strategy("improvement", 3, "+")))
    found.append(Column("tokens", 4, field("length", 0)))
    found.append(Column("correct, step by step", 9, lambda task: _trend(lines, task)))
    return found


def _parts(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return entry.get("components") or {}


def _differ(entry: Mapping[str, Any]) -> float | None:
    return 1 - entry["zero_variance"] if entry.get("zero_variance") is not None else None


def _accepted(entry: Mapping[str, Any]) -> float | None:
    return entry["informative"] / entry["prompts"] if "informative" in entry and entry["prompts"] else None


def _rate(entries: Sequence[Mapping[str, Any]], of: Callable[[Mapping[str, Any]], float | None]) -> str:
    """A share of groups, each step counting by its groups."""
    known = [(value, one.get("prompts") or 0) for one in entries if (value := of(one)) is not None]
    total = sum(count for _, count in known)
    return _share(sum(value * count for value, count in known) / total if total else None)


def _trend(lines: Sequence[Line], task: str) -> str:
    """The share of correct completions over all steps so far, from 0 (low) to 1 (high)."""
    values = [_parts(line["tasks"][task]).get("correct") for line in lines if task in line["tasks"]]
    known = [value for value in values if value is not None]
    size = -(-len(known) // TREND)
    parts = [known[start : start + size] for start in range(0, len(known), size)] if known else []
    return "".join(BARS[min(len(BARS) - 1, int(len(BARS) * sum(part) / len(part)))] for part in parts)


def _summary(recent: Sequence[Line], tasks: Sequence[str]) -> str:
    """Worst and average task, and the step's own numbers."""
    correct = {
        task: value
        for task in tasks
        if (value := mean([_parts(line["tasks"][task]).get("correct") for line in recent if task in line["tasks"]]))
        is not None
    }
    told = []
    if len(correct) > 1:
        worst = min(correct, key=lambda task: correct[task])
        told.append(f"correct: worst {worst} {correct[worst]:.2f}, average {sum(correct.values()) / len(correct):.2f}")
    for name, key, digits in (("entropy", "entropy", 2), ("gradient norm", "grad_norm", 2), ("KL", "kl", 4)):
        value = mean([line.get(key) for line in recent])
        if value is not None:
            told.append(f"{name} {value:.{digits}f}")
    loss = recent[-1].get("loss")
    if loss is not None:
        told.append(f"loss {loss:.4f}")
    return "; ".join(told)


def _costs(recent: Sequence[Line]) -> str:
    parts = {
        name: mean([(line.get("seconds") or {}).get(name) for line in recent])
        for name in ("generation", "scoring", "update")
    }
    told = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items() if seconds is not None)
    rounds = mean([(line.get("strategy") or {}).get("rounds") for line in recent])
    unscorable = sum(entry.get("unscorable") or 0 for line in recent for entry in line["tasks"].values())
    if not told:
        return ""
    more = f"; {rounds:.1f} rounds of generation a step" if rounds and rounds > 1 else ""
    failed = f"; {unscorable} completions could not be scored" if unscorable else ""
    return f"a step: {told}{more}{failed}"


def _share(value: float | None, digits: int = 2, sign: str = "") -> str:
    return NONE if value is None else f"{value:{sign}.{digits}f}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
