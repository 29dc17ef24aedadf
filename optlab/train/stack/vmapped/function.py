"""What runs of one network compute from their weights: everything but weights is shared."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from optlab.train.objective import Objective
from optlab.train.step import Gradient, Tensors, make_gradient

Values = Callable[[Tensors, Tensors, Tensor, Tensor], Tensor]


class Function:
    """A network and its objective, as functions of one run's weights.

    Attributes:
        gradient: ``(params, buffers, batch) -> (grads, buffers, [loss, *metrics])``, in training.
        values: ``(params, buffers, x, y) -> (M,)`` in evaluation, float64.
    """

    def __init__(self, module: nn.Module, objective: Objective) -> None:
        self.gradient: Gradient = make_gradient(module, objective)
        self.values: Values = _evaluation(module, objective)


def _evaluation(module: nn.Module, objective: Objective) -> Values:
    template = copy.deepcopy(module).eval()

    def values(params: Tensors, buffers: Tensors, x: Tensor, y: Tensor) -> Tensor:
        output = torch.func.functional_call(template, (params, buffers), (x,))
        measured = objective.values(objective.loss(output, y), output, y)
        return torch.stack([value.to(torch.float64) for value in measured])

    return values
