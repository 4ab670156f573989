"""One GRPO step on the embedded base: ours against TRL's own trainer and generation, both in fp32, in one run.

The same rows, verifier, group, lengths and sampling options; the policy stays the base (a learning rate of 1e-12), so
that both sample from one distribution: 80 completions a step, tokens as printed. CPU-seconds of the process, by phase;
the two take turns, and the first two steps of each turn do not count.

    python perf/grpo_step.py                      three turns of ten steps each; fails above a ratio of 0.8
    python perf/grpo_step.py --learning           also: 45 steps at the recipe's own rate, three seeds each
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _plain_trl import plain_trainer

TURNS, STEPS, UNCOUNTED, LIMIT = 3, 10, 2, 0.8
PHASES = ("generation", "verification", "update", "rest")


class Clock:
    """CPU-seconds of each step, by phase; phases are methods of TRL's trainer that both sides go through."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self._spent: dict[str, float] = defaultdict(float)
        self._begun = 0.0

    def begin(self) -> None:
        """A trainer starts."""
        self.steps, self._begun = [], time.process_time()
        self._spent.clear()

    def end_step(self, tokens: float) -> None:
        """An optimizer step is done."""
        now = time.process_time()
        spent = {name: self._spent[name] for name in ("generation", "verification", "step")}
        update = spent["step"] - spent["generation"] - spent["verification"]
        total = now - self._begun
        self.steps.append(
            {
                "generation": spent["generation"], "verification": spent["verification"], "update": update,
                "rest": total - spent["step"], "total": total, "tokens": tokens,
            }
        )  # fmt: skip
        self._spent.clear()
        self._begun = now

    def around(self, owner: Any, name: str, phase: str, inside: str | None = None) -> None:
        """Count a method's time for a phase, and not for the one that it is called inside of."""
        function = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.process_time() - start
                self._spent[phase] += spent
                if inside:
                    self._spent[inside] -= spent

        setattr(owner, name, timed)


def watch(clock: Clock) -> None:
    """Set the clock on what both sides run through."""
    from transformers import Trainer
    from trl import GRPOTrainer

    from factory.rewards import Scorer

    clock.around(GRPOTrainer, "training_step", "step")
    clock.around(GRPOTrainer, "_generate", "generation")
    clock.around(GRPOTrainer, "_calculate_rewards", "verification")
    # Ours verifies while TRL believes it generates.
    clock.around(Scorer, "verdicts", "verification", inside="generation")
    log = Trainer.log

    def logged(self: Any, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "completions/mean_length" in logs or "loss" in logs:
            metrics = self._metrics["train"]["completions/mean_length"] if hasattr(self, "_metrics") else []
            length = logs.get("completions/mean_length", metrics[-1] if metrics else 0.0)
            clock.end_step(length * self.args.per_device_train_batch_size)
        log(self, logs, *args, **kwargs)

    Trainer.log = logged


def run_ours(recipe: Any, base: Path, folder: Path, seed: int, **more: Any) -> list[float]:
    """The job that `factory train` runs; gives each step's share of correct completions."""
    from factory.core.atomic import read_jsonl
    from factory.core.progress import silent
    from factory.store.ref import Ref
    from factory.store.store import Store
    from factory.training.train import build_adapter

    spec = {
        "recipe": recipe.model_dump(), "seed": seed, "data": None,
        "base": {"label": "embedded", "path": str(base), "revision": None, "hash": "perf"},
        **more,
    }  # fmt: skip
    out = build_adapter(Store(folder), Ref("perf", "adapter", "perf", seed, "0" * 16), spec, silent)
    return [line["tasks"]["tiny_math"]["components"]["correct"] for line in read_jsonl(out / "metrics.jsonl")]


def run_two(recipe: Any, base: Path, folder: Path, seed: int) -> list[float]:
    """The job of `factory train --processes 2`."""
    return run_ours(recipe, base, folder, seed, processes=2)


def run_plain(recipe: Any, base: Path, folder: Path, seed: int) -> list[float]:
    """TRL's own; gives the same."""
    from transformers import PrinterCallback

    from factory.tasks._task import Source
    from factory.training.train import pools_of

    shares: list[float] = []
    pool = pools_of(recipe, Source.from_json(None))["tiny_math"]
    trainer = plain_trainer(recipe, base, pool, folder, seed, lambda marks: shares.append(statistics.mean(marks)))
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return shares


def base_in(store: Path) -> Path:
    """The embedded base, made if it is not there."""
    from factory.engine.single import build_base

    return Path(build_base(store, 0)["path"])


RUNS: dict[str, Callable[..., list[float]]] = {"plain TRL": run_plain, "ours": run_ours}


def speed(base: Path, work: Path) -> float:
    """Print seconds by phase; gives the ratio."""
    from factory.core.recipes import adapter_recipe

    clock, found = Clock(), {name: [] for name in RUNS}
    watch(clock)
    recipe = adapter_recipe("math", {"max_steps": STEPS + UNCOUNTED, "learning_rate": 1e-12})
    for turn in range(TURNS):
        for name, run in RUNS.items():
            folder = work / f"{name}-{turn}"
            folder.mkdir()
            clock.begin()
            run(recipe, base, folder, turn)
            found[name] += clock.steps[UNCOUNTED : STEPS + UNCOUNTED]
    print(f"CPU-seconds a step, {recipe.prompts_per_step * recipe.num_generations} completions, n = {TURNS * STEPS}")
    print(f"{'':12}" + "".join(f"{phase:>14}" for phase in PHASES) + "   total (quartiles)      tokens")
    median = {}
    for name, steps in found.items():
        totals = [step["total"] for step in steps]
        low, median[name], high = statistics.quantiles(totals, n=4)
        phases = "".join(f"{statistics.median(step[phase] for step in steps):14.3f}" for phase in PHASES)
        tokens = statistics.mean(step["tokens"] for step in steps)
        print(f"{name:12}{phases}   {median[name]:.3f} ({low:.3f} to {high:.3f}) {tokens:8.0f}")
    ratio = median["ours"] / median["plain TRL"]
    print(f"ratio: {ratio:.2f}, at most {LIMIT}")
    return ratio


def learning(base: Path, work: Path, seeds: int = 3, last: int = 10) -> None:
    """Print what both learn from the same number of samples."""
    from factory.core.recipes import adapter_recipe

    recipe = adapter_recipe("math")
    samples = recipe.max_steps * recipe.prompts_per_step * recipe.num_generations
    print(f"share of correct completions, last {last} of {recipe.max_steps} steps ({samples} samples), by seed")
    for name, run in {**RUNS, "2 processes": run_two}.items():
        ends = []
        for seed in range(seeds):
            folder = work / f"learning-{name}-{seed}"
            folder.mkdir()
            ends.append(statistics.mean(run(recipe, base, folder, seed)[-last:]))
        shown = "  ".join(f"{end:.3f}" for end in ends)
        print(f"{name:12}{shown}   mean {statistics.mean(ends):.3f}, sd {statistics.stdev(ends):.3f}")


def main() -> None:
    """Measure and print."""
    from factory.models.load import one_thread

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learning", action="store_true", help="also compare what is learned, over three seeds")
    parser.add_argument("--store", type=Path, default=Path("store"), help="where the embedded base is, or is made")
    asked = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    one_thread()
    base = base_in(asked.store)
    with tempfile.TemporaryDirectory() as folder:
        ratio = speed(base, Path(folder))
        if asked.learning:
            learning(base, Path(folder))
    sys.exit(int(ratio > LIMIT))


if __name__ == "__main__":
    main()
