"""What a comparison of adapters means, in plain words, and where a merge of them could start."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from factory.analysis.compare import Comparison, Part

ALIKE, ORTHOGONAL, CONFLICT = 0.5, 0.1, 0.02
_LOWEST, _HIGHEST, _RIDGE = 0.1, 1.5, 1e-3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A merge to start from.

    Attributes:
        method: `linear` or `ties`.
        weights: one for each adapter.
        density: of `ties`; None where the method has none.
        reason: why, in a sentence.
    """

    method: str
    weights: list[float]
    density: float | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"method": self.method, "weights": self.weights, "density": self.density, "reason": self.reason}


def suggest(comparison: Comparison) -> Suggestion:
    """Weights at which the plain sum's part along each adapter is that adapter itself, and a method.

    They solve G w = diag(G) with G_ij = <D_i, D_j>: 1 each for orthogonal adapters, 1/n each for n equal ones; kept
    within 0.1 and 1.5. A start, not an answer: what they are worth is measured by scoring.
    """
    import numpy as np

    whole = comparison.overall
    norms = np.array([norm or 1.0 for norm in whole.norms])
    cosines = np.array(whole.inner) / np.outer(norms, norms)
    scaled = np.linalg.solve(cosines + _RIDGE * np.eye(len(norms)), np.diag(cosines) * norms)
    weights = [round(float(w), 3) for w in np.clip(scaled / norms, _LOWEST, _HIGHEST)]
    worst = min((whole.cosine(i, j) or 0.0 for i, j in combinations(range(len(norms)), 2)), default=0.0)
    if worst < -ORTHOGONAL:
        reason = "two adapters pull against each other; electing signs keeps the stronger side entry by entry"
        return Suggestion("ties", [1.0] * len(norms), 0.5, reason)
    return Suggestion("linear", weights, None, "the plain sum loses nothing, and these weights keep each adapter whole")


def sentences(comparison: Comparison) -> list[str]:
    """What the numbers say, one sentence a finding."""
    whole = comparison.overall
    told = [
        text
        for i, j in combinations(range(len(comparison.titles)), 2)
        for text in _pair(whole, i, j, comparison.titles[i], comparison.titles[j])
    ]
    cancellation = whole.cancellation
    if cancellation is not None:
        level = len(comparison.titles) ** -0.5
        told.append(
            f"The proposed sum keeps {cancellation:.0%} of the adapters' added sizes "
            f"(about {level:.0%} is what orthogonal adapters of one size keep, 100% what equal ones keep)."
        )
    for i, title in enumerate(comparison.titles):
        kept = whole.retention(i)
        if kept is not None and abs(kept - 1) > 0.1:
            word = "more of itself than it had" if kept > 1 else "less of itself than it had"
            told.append(f"In the proposed sum {title} finds {word}: {kept:.0%}.")
    return told


def _pair(whole: Part, i: int, j: int, one: str, two: str) -> list[str]:
    cosine = whole.cosine(i, j)
    if cosine is None:
        return [f"{one} or {two} changes nothing."]
    told = []
    if cosine > ALIKE:
        told.append(
            f"{one} and {two} make largely the same change (cosine {cosine:.2f}): their sum overshoots; "
            "let their weights add up to about 1."
        )
    elif cosine < -ORTHOGONAL:
        told.append(f"{one} and {two} pull against each other (cosine {cosine:.2f}): a sum weakens both.")
    elif cosine > ORTHOGONAL:
        told.append(f"{one} and {two} partly agree (cosine {cosine:.2f}).")
    else:
        told.append(f"{one} and {two} are nearly orthogonal (cosine {cosine:.2f}): a sum keeps both.")
    sides = (("read from the same inputs", whole.inputs), ("write to the same outputs", whole.outputs))
    spaces = [
        f"{name} (overlap {found.above_chance:.2f} above chance)"
        for name, found in ((name, side.get((i, j))) for name, side in sides)
        if found is not None and found.above_chance > ORTHOGONAL
    ]
    if spaces:
        told.append(f"They {' and '.join(spaces)}.")
    return told
