"""What a run minimizes, and what it measures beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from optlab.tasks.base import Split

Measure = Callable[[Tensor, Tensor], Mapping[str, Tensor]]

#: Rows of one evaluation chunk: large enough to be quick, small enough for any memory.
EVALUATION_ROWS = 8192


@dataclass(frozen=True)
class Objective:
    """Loss and metrics of a batch, from raw scores and encoded targets.

    Attributes:
        loss: ``(output, target) -> ()``, the mean over rows, without penalties.
        measure: ``(output, target) -> {name: ()}``, each a mean over rows.
        metric_names: Keys of ``measure``'s result, in order.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    measure: Measure
    metric_names: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """``"loss"`` and the metrics, in the order of every record."""
        return ("loss", *self.metric_names)

    def values(self, loss: Tensor, output: Tensor, target: Tensor) -> list[Tensor]:
        """Return the loss and the metrics as 0-d tensors, in the order of `names`."""
        measured = self.measure(output, target)
        return [loss, *(measured[name] for name in self.metric_names)]

    @torch.no_grad()
    def evaluate(self, module: nn.Module, split: Split) -> dict[str, float]:
        """Return loss and metrics over all rows of ``split``; one copy from the device."""
        was_training = module.training
        module.eval()
        total = torch.zeros(len(self.names), dtype=torch.float64, device=split.x.device)
        chunks = (torch.split(part, EVALUATION_ROWS) for part in (split.x, split.y))
        for x, y in zip(*chunks, strict=True):
            output = module(x)
            values = self.values(self.loss(output, y), output, y)
            total += torch.stack([v.to(torch.float64) for v in values]) * len(x)
        module.train(was_training)
        return dict(zip(self.names, (total / len(split)).tolist(), strict=True))
