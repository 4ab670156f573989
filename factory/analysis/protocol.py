"""How each benchmark was asked, in words that are printed with its score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factory.analysis.cells import Cell, Matrix
from factory.benchmarks._benchmark import CHOICES, LM_EVAL


def protocols(matrix: Matrix) -> list[str]:
    """One sentence for each way of asking, with the benchmarks that were asked so."""
    ways: dict[str, list[str]] = {}
    for benchmark in matrix.benchmarks:
        cell = next((cell for cell in matrix.cells.values() if cell.benchmark == benchmark), None)
        if cell is not None:
            ways.setdefault(told(cell.decoding, cell.method), []).append(f"{benchmark} v{cell.version}")
    cut = [f"{cell.benchmark} {n}" for cell in _of_base(matrix) if (n := cell.metrics.get("truncated"))]
    lines = [f"{', '.join(names)}: {way}." for way, names in ways.items()]
    if cut:
        told_cut = ", ".join(cut)
        lines.append(f"Prompts that lost their beginning, for the base reads fewer tokens: {told_cut}.")
    return lines


def told(decoding: Mapping[str, Any], method: str) -> str:
    """`5 examples, plain text, greedy, at most 256 tokens, scored by strict-match`."""
    few_shot, chat, metric = decoding.get("few_shot"), decoding.get("chat_template"), decoding.get("metric")
    examples = f"{few_shot} example{'' if few_shot == 1 else 's'}" if few_shot else "no examples"
    prompt = {True: "chat template", False: "plain text", None: "chat template where the base has one"}[chat]
    answer = f"{_drawn(decoding)}, at most {decoding.get('max_new_tokens')} tokens"
    if method == CHOICES:
        answer = "answers compared by log-likelihood"
    if method == LM_EVAL:
        examples, answer = examples if few_shot is not None else "its examples", "as lm-evaluation-harness has it"
    return ", ".join([examples, prompt, answer, *([f"scored by {metric}"] if metric else [])])


def _drawn(decoding: Mapping[str, Any]) -> str:
    samples, top_p = decoding.get("samples") or 0, decoding.get("top_p", 1.0)
    nucleus = f" and top-p {top_p:g}" if top_p < 1 else ""
    ways = [f"{samples} at temperature {decoding.get('temperature', 1.0):g}{nucleus}"] if samples else []
    return " and ".join([*ways, *(["greedy"] if decoding.get("greedy", True) else [])])


def _of_base(matrix: Matrix) -> list[Cell]:
    """The first variant's cells of the first seed: whose prompts were cut is the same for all variants."""
    return [cell for (v, _, s), cell in matrix.cells.items() if v == matrix.variants[0] and s == matrix.seeds[0]]
