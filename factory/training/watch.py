"""What happens around each optimizer step: the strategy learns, a line is written, training may end early."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from factory.core.atomic import write_json
from factory.core.recipes import Stop
from factory.training import ranks
from factory.training.checkpoints import seal
from factory.training.filler import Filler
from factory.training.groups import Group
from factory.training.improvement import Improvement
from factory.training.metrics import MetricsFile, mean, task_line
from factory.training.stop import stop_reason
from factory.training.weighting import Seen

STATE = "strategy.json"


def watcher(
    filler: Filler,
    metrics: MetricsFile,
    stop: Stop,
    improvement: Improvement,
    on_step: Callable[[dict[str, Any]], None],
    keep: Callable[[Any, int], None],
    of: dict[str, Any],
) -> Any:
    """The trainer's callback; `of` is what its checkpoints are sealed with."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):  # type: ignore[misc]
        gained: dict[str, float]
        begun = 0.0

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.begun, self.gained = time.monotonic(), {}

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if filler.strategy.weights.needs_improvement:
                improvement.before(model, _groups(filler))

        def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if filler.strategy.weights.needs_improvement:
                self.gained = improvement.after(model, _groups(filler))
            filler.strategy.observe(seen_of(filler, self.gained, improvement.scale))

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            keep(model, state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if logs and "loss" in logs:
                line = line_of(filler, state.global_step, logs, self.gained, time.monotonic() - self.begun)
                metrics.append(line)
                on_step(line)
                if (reason := stop_reason(metrics.lines, stop)) is not None:
                    metrics.stopped = reason
                    control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            metrics.sync()
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            ranks.wait_for_all()  # each rank has its random state in there
            if ranks.rank() == 0:
                write_json(folder / STATE, filler.state())
                seal(folder, of)

    return Watcher()


def _groups(filler: Filler) -> list[Group]:
    assert filler.step is not None
    return filler.step.selected.groups


def seen_of(filler: Filler, gained: dict[str, float], scale: bool) -> dict[str, Seen]:
    """What the last step showed of each task."""
    assert filler.step is not None
    found = {}
    for task in filler.pools:
        seen = [group for group in filler.step.selected.seen if group.task == task]
        kept = [group for group in filler.step.selected.groups if group.task == task]
        advantages = [abs(value) for group in kept for value in group.advantages(scale)]
        found[task] = Seen(
            reward=mean([reward for group in seen for reward in group.rewards]),
            accuracy=mean([None if v.correct is None else float(v.correct) for g in seen for v in g.verdicts]),
            improvement=gained.get(task, 0.0),
            sequences=len(advantages),
            advantage=sum(advantages) / len(advantages) if advantages else 0.0,
        )
    return found


def line_of(
    filler: Filler, number: int, logs: dict[str, Any], gained: dict[str, float], seconds: float
) -> dict[str, Any]:
    """The metrics file's line of the last step. Seconds are wall time; update is what generation and scoring leave."""
    step = filler.step
    assert step is not None
    seen, kept = step.selected.seen, step.selected.groups
    filter = filler.strategy.selection.filter
    tasks = {
        task: task_line(task, own, [g for g in kept if g.task == task], filler.scorer, filter)
        for task in filler.pools
        if (own := [group for group in seen if group.task == task])
    }
    return {
        "step": number,
        "tasks": tasks,
        "strategy": {
            "weights": {task: round(share, 6) for task, share in step.shares.items()},
            "quota": step.selected.quota,
            "share": {task: line["kept"] / len(kept) for task, line in tasks.items()} if kept else {},
            "rounds": step.selected.rounds,
            "informative": sum(group.spread > 0 for group in kept),
            "padding": len(step.padding),
            "improvement": {task: round(value, 8) for task, value in gained.items()},
        },
        "seconds": {
            "generation": round(step.generation_seconds, 4),
            "scoring": round(step.scoring_seconds, 4),
            "update": round(seconds - step.generation_seconds - step.scoring_seconds, 4),
        },
        **{key: logs.get(key) for key in ("loss", "grad_norm", "kl", "learning_rate", "entropy")},
    }
