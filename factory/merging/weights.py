"""The factor each input really gets, once `normalize` and `lambda` are applied."""

from __future__ import annotations

from factory.core.errors import BadInput
from factory.merging.contract import Settings


def effective_weights(settings: Settings) -> list[float]:
    """w_i, divided by their sum if `normalize`, times `lambda` where the method has one.

    Raises:
        BadInput: weights that sum to 0 cannot be normalised; mergekit would write Inf.
    """
    weights = [float(weight) for weight in settings.each["weight"]]
    scale = float(settings.shared.get("lambda", 1.0))
    if settings.shared["normalize"]:
        total = sum(weights)
        if abs(total) < 1e-8:
            raise BadInput(f"weights {weights} sum to 0 and cannot be normalised; set normalize: false")
        scale /= total
    return [scale * weight for weight in weights]
