"""When training ends before its last step, and why: each rule says which task, which rule, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from factory.core.errors import BadInput, WorkFailed
from factory.core.recipes import Stop
from factory.training.metrics import mean

Line = dict[str, Any]
WINDOW = 10
SOLVED = 0.9


def stop_reason(lines: Sequence[Line], stop: Stop) -> str | None:
    """Why training should end now with the adapter it has, in one sentence; None if it should not.

    Args:
        lines: the metrics file's, so far.

    Raises:
        BadInput: a task has never taught anything: training on it is a mistake of the recipe.
        WorkFailed: the numbers of the newest step are not finite.
    """
    if lines:
        check_finite(lines[-1])
    check_silent_tasks(lines, stop)
    return _no_signal(lines, stop) or _collapse(lines, stop)


def check_finite(line: Line) -> None:
    """Refuse to go on from weights that are no numbers any more.

    Raises:
        WorkFailed: loss or gradient is NaN or infinite.
    """
    for name in ("loss", "grad_norm"):
        value = line.get(name)
        if value is not None and not isfinite(value):
            raise diverged(f"{name} is {value} at step {line['step']}")


def diverged(what: str) -> WorkFailed:
    """The error of a training whose numbers are lost, and what helps."""
    return WorkFailed(
        f"the training diverged: {what}; take a lower learning_rate, a smaller trl.max_grad_norm, or a beta above 0"
    )


def check_silent_tasks(lines: Sequence[Line], stop: Stop) -> None:
    """Refuse a task of whose groups none was informative in its first `stop.no_signal_steps` steps.

    Raises:
        BadInput: the first such task.
    """
    if stop.no_signal_steps is None or not lines:
        return
    for task in lines[-1]["tasks"]:
        seen = [line["tasks"][task] for line in lines if task in line["tasks"]]
        if len(seen) < stop.no_signal_steps or any(one["informative"] for one in seen):
            continue
        groups = sum(one["prompts"] for one in seen)
        correct = mean([one["components"].get("correct") for one in seen])
        what, do = _silence(correct)
        raise BadInput(
            f"task {task}: none of its {groups} groups in {len(seen)} steps was informative, {what}; {do}; to train on "
            f"all the same set stop.no_signal_steps to null (now {stop.no_signal_steps})"
        )


def _silence(correct: float | None) -> tuple[str, str]:
    """What groups without differences mean, and what helps."""
    if correct is not None and correct > SOLVED:
        return f"{correct:.0%} of its completions are correct", "leave the task out, or take a harder level of it"
    if not correct:
        return (
            "no completion was correct",
            "take an easier level of it, a base that can do some of it, or more num_generations",
        )
    return f"{correct:.0%} of its completions are correct", "take more num_generations, or a temperature above 0.5"


def _no_signal(lines: Sequence[Line], stop: Stop) -> str | None:
    """Nothing to learn from for many steps, where there once was something."""
    silent = 0
    for line in reversed(lines):
        if line["strategy"]["informative"]:
            break
        silent += 1
    if stop.no_signal_steps is None or silent < stop.no_signal_steps:
        return None
    told = []
    for task, entry in _last(lines):
        correct = entry["components"].get("correct")
        state = "solved" if correct is not None and correct > SOLVED else "too hard, or rewarded for nothing else"
        told.append(f"{task} is {state}" + ("" if correct is None else f" ({correct:.0%} correct)"))
    return (
        f"no group was informative in the last {silent} steps, so nothing can be learned: {', '.join(told)}; take "
        f"fewer max_steps, or rows of another difficulty (stop.no_signal_steps = {stop.no_signal_steps})"
    )


def _collapse(lines: Sequence[Line], stop: Stop) -> str | None:
    """The reward, once there, is gone."""
    rewards = [mean([task["reward"] for task in line["tasks"].values()]) or 0.0 for line in lines]
    if stop.collapse is None or len(rewards) < 2 * WINDOW:
        return None
    means = _running(rewards)
    if max(means) <= 0.05 or means[-1] >= stop.collapse * max(means):
        return None
    return (
        f"the reward collapsed: {means[-1]:.3f} over the last {WINDOW} steps, {max(means):.3f} at its best"
        f"{_fallen(lines)}; take a lower learning_rate, or a beta above 0 (stop.collapse = {stop.collapse:g})"
    )


def _fallen(lines: Sequence[Line]) -> str:
    """The task that lost most, where there are several."""
    losses = {}
    for task, _ in _last(lines):
        rewards = [line["tasks"][task]["reward"] or 0.0 for line in lines if task in line["tasks"]]
        if len(rewards) >= WINDOW:
            means = _running(rewards)
            losses[task] = (max(means) - means[-1], max(means), means[-1])
    if len(losses) < 2:
        return ""
    task = max(losses, key=lambda name: losses[name][0])
    return f"; most of it in {task}, from {losses[task][1]:.3f} to {losses[task][2]:.3f}"


def _last(lines: Sequence[Line]) -> Iterator[tuple[str, Line]]:
    """The newest entry of every task."""
    tasks = dict.fromkeys(task for line in lines for task in line["tasks"])
    for task in tasks:
        yield task, next(line["tasks"][task] for line in reversed(lines) if task in line["tasks"])


def _running(values: Sequence[float]) -> list[float]:
    return [sum(values[end - WINDOW : end]) / WINDOW for end in range(WINDOW, len(values) + 1)]
