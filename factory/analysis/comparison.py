"""What every comparison of variants on a benchmark has: an estimate, and whether it stands among all of its kind."""

from __future__ import annotations

from typing import Any

from factory.analysis.cells import Mode
from factory.analysis.statistics import Estimate


class Comparison:
    """The common part of records of comparisons; a record says itself what is compared.

    Attributes:
        benchmark: where.
        mode: by which answers.
        estimate: of the difference; None where it cannot be said.
        p_adjusted: Holm-adjusted over all comparisons that belong together; None where none was made.
    """

    __slots__ = ()
    benchmark: str
    mode: Mode
    estimate: Estimate | None
    p_adjusted: float | None

    @property
    def is_sure(self) -> bool:
        """Whether it differs from nothing even among all that belong together (Holm, 5 %)."""
        return self.p_adjusted is not None and self.p_adjusted < 0.05

    def numbers(self) -> dict[str, Any]:
        """Estimate and p-value, as a JSON object has them."""
        return {
            "estimate": self.estimate.to_json() if self.estimate else None,
            "p_adjusted": None if self.p_adjusted is None else round(self.p_adjusted, 6),
        }
