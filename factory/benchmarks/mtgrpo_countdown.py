"""Countdown on MT-GRPO's test rows: 50 of each difficulty, 3 to 6 numbers."""

from __future__ import annotations

from factory.benchmarks._mtgrpo import benchmark
from factory.tasks._mtgrpo import files
from factory.tasks.mtgrpo_countdown import solution
from factory.verifiers import countdown

BENCHMARK = benchmark(
    files("mtgrpo_countdown", test="countdown_test"),
    countdown.verify,
    lambda truth: solution(truth["numbers"], truth["target"]),
    None,
    "countdown, MT-GRPO's test rows with 3 to 6 numbers",
)
