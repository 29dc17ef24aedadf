"""An evaluation of the loss that an optimizer of many evaluations (L-BFGS, SAM) asks for again."""

import torch
from torch import nn


class Evaluation:
    """Weights and gradients of one evaluation, to see whether they are still the present ones."""

    def __init__(self, params: list[nn.Parameter]) -> None:
        self._weights = [(p, p.detach().clone()) for p in params]
        self._grads = [(p.grad, p.grad._version) for p in params if p.grad is not None]

    def stands(self) -> bool:
        """Return whether nothing was written to weights or gradients."""
        now = [p.grad for p, _ in self._weights if p.grad is not None]
        return (
            len(now) == len(self._grads)
            and all(
                g is old and g._version == v for g, (old, v) in zip(now, self._grads, strict=True)
            )
            and all(torch.equal(p, weight) for p, weight in self._weights)
        )
