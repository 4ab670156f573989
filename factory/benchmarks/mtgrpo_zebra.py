"""Zebra puzzles on MT-GRPO's test rows: 50 of each difficulty, 3 to 6 people, so a name is right one time in four."""

from __future__ import annotations

from factory.benchmarks._mtgrpo import benchmark, target
from factory.tasks._mtgrpo import files
from factory.verifiers import name

BENCHMARK = benchmark(
    files("mtgrpo_zebra", test="zebra_test"),
    name.verify,
    target,
    0.2375,
    "who lives in house 1, MT-GRPO's test rows with 3 to 6 people",
)
