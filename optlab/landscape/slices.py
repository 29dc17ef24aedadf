"""The loss of a network along one or two directions from its weights.

Shapes: steps along the first and the second direction C and R.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from optlab.landscape.directions import Weights
from optlab.tasks.base import Split
from optlab.train.objective import Objective

Array = npt.NDArray[np.float64]


@torch.no_grad()
def plane(
    module: nn.Module,
    objective: Objective,
    split: Split,
    directions: Sequence[Weights],
    steps: Sequence[Array],
) -> Array:
    """Return the mean loss over a split on a grid of points, (R, C); nan and infinity may occur.

    The module is in evaluation mode meanwhile, with the running statistics that it has, and comes
    back as it was.

    Args:
        module: The network; the grid's origin is at its weights.
        objective: What is minimized.
        split: The rows.
        directions: Two directions in its weights.
        steps: How far to go along each, (C) and (R).
    """
    origin = {name: p.detach().clone() for name, p in module.named_parameters()}
    first, second = directions
    losses = np.empty((len(steps[1]), len(steps[0])))
    try:
        for row, b in enumerate(steps[1]):
            for column, a in enumerate(steps[0]):
                for name, p in module.named_parameters():
                    p.copy_(origin[name] + a * first[name] + b * second[name])
                losses[row, column] = float(objective.averages(module, split)[0][0])
    finally:
        for name, p in module.named_parameters():
            p.copy_(origin[name])
    return losses


def line(
    module: nn.Module, objective: Objective, split: Split, direction: Weights, steps: Array
) -> Array:
    """Return the mean loss over a split along one direction, (C); see `plane`."""
    nowhere = {name: torch.zeros_like(d) for name, d in direction.items()}
    row: Array = plane(module, objective, split, (direction, nowhere), (steps, np.zeros(1)))[0]
    return row
