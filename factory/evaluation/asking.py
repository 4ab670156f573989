"""A variant asked one chunk of a benchmark's items: what it says, and how that is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from factory.benchmarks._benchmark import CHOICES, Benchmark
from factory.core.errors import BadInput
from factory.core.records import Outcome, Row, Verdict
from factory.core.study import Decoding

CHOICE_ITEMS = 64
"""Items of a chunk whose choices are compared."""


@dataclass(frozen=True)
class Asker:
    """A loaded variant and the benchmark it is asked.

    Attributes:
        model, tokenizer: of the variant.
        limit: tokens that the model reads.
    """

    model: Any
    tokenizer: Any
    benchmark: Benchmark
    decoding: Decoding
    limit: int

    def check(self) -> None:
        """Refuse what this variant cannot be asked.

        Raises:
            BadInput: a chat template is asked for and there is none, or completions are longer than the model reads.
        """
        if self.decoding.chat_template and not self.tokenizer.chat_template:
            raise BadInput(
                f"benchmark {self.benchmark.name}: chat_template is true and the base's tokenizer has none; set it to "
                "false, or take a base with one"
            )
        if self.benchmark.method != CHOICES and self.decoding.max_new_tokens >= self.limit:
            raise BadInput(
                f"benchmark {self.benchmark.name}: max_new_tokens {self.decoding.max_new_tokens} leaves no room for a "
                f"prompt, the base reads {self.limit} tokens; lower it"
            )

    def chunk_items(self, items: Sequence[Row]) -> int:
        """Items in one chunk; the same for all runs of a cell, for sampling is seeded by chunk."""
        from factory.models.generate import sequences_at_once

        if self.benchmark.method == CHOICES:
            return CHOICE_ITEMS
        longest = min(self.limit, max(len(self._ids(row)) for row in items) + self.decoding.max_new_tokens)
        return max(1, sequences_at_once(self.model, longest) // max(self.decoding.samples, 1))

    def ask(self, rows: Sequence[Row], seed: int) -> tuple[list[Outcome], int]:
        """The outcomes of some items, and how many of them lost tokens because the model does not read that many."""
        return self._choices(rows) if self.benchmark.method == CHOICES else self._completions(rows, seed)

    def text(self, row: Row) -> str:
        """An item as the model reads it."""
        from factory.models.chat import row_text

        return row_text(self.tokenizer, row, chat=self.decoding.chat_template, delimiter=self.benchmark.delimiter)

    def _ids(self, row: Row) -> list[int]:
        from factory.models.chat import prompt_ids, text_ids

        if self.decoding.chat_template is None and not row.raw and not row.shots:
            return prompt_ids(self.tokenizer, row.prompt)
        return text_ids(self.tokenizer, self.text(row))

    def _completions(self, rows: Sequence[Row], seed: int) -> tuple[list[Outcome], int]:
        from factory.models.generate import generate

        decoding = self.decoding
        room = self.limit - decoding.max_new_tokens
        prompts = [self._ids(row) for row in rows]
        cut = sum(len(ids) > room for ids in prompts)
        options: dict[str, Any] = {"max_new_tokens": decoding.max_new_tokens, "stop": decoding.stop}
        prompts = [ids[-room:] for ids in prompts]
        texts: list[list[Any]] = [[] for _ in rows]
        if decoding.samples:
            texts = generate(
                self.model, self.tokenizer, prompts, samples=decoding.samples, temperature=decoding.temperature,
                top_p=decoding.top_p, seed=seed, **options,
            )  # fmt: skip
        if decoding.greedy:
            greedy = generate(self.model, self.tokenizer, prompts, samples=0, **options)
            texts = [sampled + one for sampled, one in zip(texts, greedy, strict=True)]
        return [self._outcome(row, mine) for row, mine in zip(rows, texts, strict=True)], cut

    def _outcome(self, row: Row, completions: Sequence[Any]) -> Outcome:
        # Samples of one item often coincide; the same text has the same verdict.
        judged = {text: self._judged(text, row) for text in dict.fromkeys(one.text for one in completions)}
        scores = [judged[completion.text][0] for completion in completions]
        has_greedy = self.decoding.greedy
        return Outcome(
            item=row.id,
            scores=scores[: self.decoding.samples],
            greedy=scores[-1] if has_greedy else None,
            completions=[completion.text for completion in completions],
            reasons=[judged[completion.text][1].reason for completion in completions],
            tokens=[completion.tokens for completion in completions],
            metrics=dict(judged[completions[-1].text][2]) if has_greedy else {},
            components=[dict(judged[one.text][1].components) for one in completions] if self.benchmark.shares else [],
        )

    def _judged(self, text: str, row: Row) -> tuple[float | None, Verdict, Mapping[str, float]]:
        """The score by the metric that was asked for, the verdict, and all metrics where there are several."""
        verdict = self.benchmark.verify(text, row)
        if self.benchmark.measures is None:
            return (None if verdict.correct is None else float(verdict.correct)), verdict, {}
        metrics = self.benchmark.measures(text, row)
        return metrics.get(self.decoding.metric or self.benchmark.metrics[0]), verdict, metrics

    def _choices(self, rows: Sequence[Row]) -> tuple[list[Outcome], int]:
        from factory.models.likelihood import encoded_pair, log_likelihoods

        # Where the prompt is a chat turn of its own, the answer begins at the line's start.
        delimiter = "" if self.decoding.chat_template else self.benchmark.delimiter
        contexts = [self.text(row) for row in rows]
        pairs = [
            encoded_pair(self.tokenizer, context, f"{delimiter}{choice}")
            for row, context in zip(rows, contexts, strict=True)
            for choice in row.reference["choices"]
        ]
        places = [row for row in rows for _ in row.reference["choices"]]
        for row, pair in zip(places, pairs, strict=True):
            if not all(pair):
                raise BadInput(f"benchmark {self.benchmark.name}, item {row.id}: its prompt or a choice has no tokens")
        found = iter(log_likelihoods(self.model, pairs, self.limit))
        outcomes = [self._chosen(row, [next(found) for _ in row.reference["choices"]]) for row in rows]
        cut = {
            row.id
            for row, (before, after) in zip(places, pairs, strict=True)
            if len(before) + len(after) > self.limit + 1
        }
        return outcomes, len(cut)

    def _chosen(self, row: Row, likelihoods: Sequence[float]) -> Outcome:
        choices, gold = row.reference["choices"], row.reference["gold"]
        # The first of equals, as numpy's argmax has it.
        by_sum = max(range(len(choices)), key=lambda place: likelihoods[place])
        by_length = max(range(len(choices)), key=lambda place: likelihoods[place] / max(len(choices[place]), 1e-9))
        metrics = {"acc_norm": float(by_length == gold), "acc": float(by_sum == gold)}
        name = self.decoding.metric or self.benchmark.metrics[0]
        chosen = by_sum if name == "acc" else by_length
        told = ", ".join(f"{value:.3f}" for value in likelihoods)
        reason = f"chose {chosen + 1} of {len(choices)}, right is {gold + 1}; log-likelihoods {told}"
        return Outcome(row.id, [], metrics[name], [choices[chosen]], [reason], [0], metrics)
