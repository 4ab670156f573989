"""The lesson of all strategies that do not name another: GRPO on groups that the strategy chooses."""

from __future__ import annotations

from dataclasses import dataclass

from factory.training.filler import Filler
from factory.training.lesson import Taught, Work


@dataclass(frozen=True)
class Grpo:
    """Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300), TRL's."""

    def teach(self, work: Work) -> Taught:
        """See `Lesson`."""
        from factory.training.trl_door import sample, train

        filler = Filler(
            pools=work.pools,
            strategy=work.strategy,
            scorer=work.scorer,
            tokens=work.tokens,
            texts=lambda ids: work.tokenizer.batch_decode(ids, skip_special_tokens=True),
            sample=sample,
            group=work.recipe.num_generations,
            seed=work.seed,
        )
        model, stopped = train(work, filler)
        return Taught(model, stopped, {task: filler.used(task) for task in work.pools})
