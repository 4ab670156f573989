"""Grids of one dimension on MT-GRPO's test rows: 50 of each difficulty, 10 to 40 cells; 8 of 200 repeat the input."""

from __future__ import annotations

from factory.benchmarks._mtgrpo import benchmark, target
from factory.tasks._mtgrpo import files
from factory.verifiers import grid

BENCHMARK = benchmark(
    files("mtgrpo_arc_1d", test="arc_test"),
    grid.verify,
    target,
    0.04,
    "rules for rows of cells, MT-GRPO's test rows with 10 to 40",
)
