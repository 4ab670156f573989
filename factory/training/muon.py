"""Muon in fp32: momentum whose update is orthogonalised (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

`torch.optim.Muon` does its Newton-Schulz steps in bfloat16, which on a CPU without matrix units costs more than the
whole forward and backward pass of the embedded base; here they run in fp32, equal shapes in one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Push the singular values of each (..., rows, columns) matrix towards 1 by a quintic Newton-Schulz iteration."""
    a, b, c = QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: torch.Tensor = x.mT if tall else x
    return result


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; for matrices only.

    Args:
        params: 2-D parameters.
        lr: step length; an update has root-mean-square entry about `lr * sqrt(max(1, rows/columns) / columns)`.
        momentum: of the gradient average.
    """

    def __init__(self, params: Iterable[torch.Tensor], lr: float = 0.02, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the gradients that are there."""
        del closure
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                updates = torch.stack([self._direction(p, group["momentum"]) for p in parameters])
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for parameter, update in zip(parameters, orthogonalised(updates), strict=True):
                    parameter.add_(update, alpha=-group["lr"] * scale)

    def _direction(self, parameter: torch.Tensor, momentum: float) -> torch.Tensor:
        average = self.state[parameter].setdefault("average", torch.zeros_like(parameter))
        gradient = parameter.grad
        assert gradient is not None
        average.lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)
