"""What a run minimizes, and what it measures beside it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from optlab.tasks.base import Split

Measure = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
States = Callable[[Tensor], Mapping[str, Tensor]]

#: Rows of one evaluation chunk at most, and numbers in its inputs, as long as it has `FEWEST_ROWS`:
#: large enough to be quick, small enough for what networks make of images and long sequences.
EVALUATION_ROWS, EVALUATION_NUMBERS, FEWEST_ROWS = 1024, 2**16, 32


@dataclass(frozen=True)
class Objective:
    """Loss and metrics of a batch, from raw scores and encoded targets.

    Attributes:
        loss: ``(output, target) -> ()``, the mean over rows, without penalties.
        measure: ``(output, target) -> {name: ()}``, each a mean over rows.
        metric_names: Keys of ``measure``'s result, in order.
        roots: Those of them that are means of squares and are shown as their roots. The root is
            taken after all averaging: the mean of batches' roots would not be the root (LOS-15).
        states: ``output -> {name: ()}``, what evaluation tells of the model and not of rows, such
            as ``point/x0``; their names have a slash.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    measure: Measure
    metric_names: tuple[str, ...]
    roots: tuple[str, ...] = ()
    states: States | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """``"loss"`` and the metrics, in the order of every record."""
        return ("loss", *self.metric_names)

    def per_step(self) -> "Objective":
        """Return the objective for outputs (B, S, D) at S time steps, each counted as a row."""

        def flat(function: Callable[[Tensor, Tensor], Any]) -> Callable[[Tensor, Tensor], Any]:
            return lambda output, target: function(output.flatten(0, 1), target.flatten(0, 1))

        return replace(self, loss=flat(self.loss), measure=flat(self.measure))

    def values(self, loss: Tensor, output: Tensor, target: Tensor) -> list[Tensor]:
        """Return the loss and the metrics as 0-d tensors to average, in the order of `names`."""
        measured = self.measure(output, target)
        return [loss, *(measured[name] for name in self.metric_names)]

    def shown(self, means: Sequence[float]) -> dict[str, float]:
        """Return averages of `values` by name as they are recorded: `roots` as roots."""
        pairs = zip(self.names, means, strict=True)
        return {name: math.sqrt(v) if name in self.roots else v for name, v in pairs}

    @torch.no_grad()
    def evaluate(self, module: nn.Module, split: Split) -> dict[str, float]:
        """Return loss, metrics and states over all rows of ``split``, in evaluation mode."""
        means, output = self.averages(module, split)
        values = self.shown(means.tolist())
        if self.states is not None:
            values |= {name: float(state) for name, state in self.states(output).items()}
        return values

    @torch.no_grad()
    def averages(self, module: nn.Module, split: Split) -> tuple[Tensor, Tensor]:
        """Return the means of `values` over all rows of ``split``, in evaluation mode.

        Returns:
            The means in the order of `names`, roots not yet taken, (M,), float64, on the device;
            and the output for the last rows.
        """
        was_training = module.training
        module.eval()
        total = torch.zeros(len(self.names), dtype=torch.float64, device=split.x.device)
        size = rows_of_a_chunk(split.x)
        chunks = (torch.split(part, size) for part in (split.x, split.y))
        for x, y in zip(*chunks, strict=True):
            output = module(x)
            values = self.values(self.loss(output, y), output, y)
            total += torch.stack([v.to(torch.float64) for v in values]) * len(x)
        module.train(was_training)
        return total / len(split), output


def rows_of_a_chunk(x: Tensor) -> int:
    """Return how many rows of inputs ``x`` to evaluate at once."""
    fitting = EVALUATION_NUMBERS // max(x[0].numel(), 1)
    return min(EVALUATION_ROWS, max(FEWEST_ROWS, fitting))
