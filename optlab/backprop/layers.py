"""A network of sigmoid layers, forward and backward by hand (MLP-01 to MLP-06, BPR-04, BPR-05).

The notes' example is 4-3-2-1: four inputs, three and two hidden units, one output, 26 parameters.
Layer k has weights ``Wk`` of shape (in, out), so that entry (i, j) is the notes' w^k_ij, from node
i of the layer before to node j, and biases ``bk`` of shape (out,): b_kj. Its outputs are ``Ok``,
the notes' O_kj; O0 is the input. `optlab.nn.Linear` keeps the transpose, (out, in).

The notes' page on the backward pass writes a for O, and W a + b with the transposed W.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from optlab import seeding
from optlab.backprop.training import Parameters, targets_like
from optlab.config import unknown_name


def propagate(
    params: Parameters, x: Tensor, unit: Callable[[Tensor], Tensor] = torch.sigmoid
) -> list[Tensor]:
    """Return [O0, O1, ..., OL] for a batch of rows.

    Args:
        params: W1, b1, W2, b2 ...
        x: Rows (B, in), or one row (in,).
        unit: What a node does to its sum z.
    """
    outputs = [x]
    for k in range(1, len(params) // 2 + 1):
        outputs.append(unit(outputs[k - 1] @ params[f"W{k}"] + params[f"b{k}"]))
    return outputs


def propagate_row(params: Parameters, x: Tensor) -> list[Tensor]:
    """Return [O0, O1, ..., OL] for one row, in the notes' order of factors.

    O1 = sigmoid(W1^T x + b1), O2 = sigmoid(W2^T O1 + b2), yhat = O3 = sigmoid(W3^T O2 + b3): in
    4-3-2-1 the shapes are (3, 4)(4,) + (3,), then (2, 3)(3,) + (2,), then (1, 2)(2,) + (1,). The
    notes print some factors and signs otherwise (row E22).
    """
    outputs = [x]
    for k in range(1, len(params) // 2 + 1):
        outputs.append(torch.sigmoid(params[f"W{k}"].T @ outputs[k - 1] + params[f"b{k}"]))
    return outputs


def named_numbers(params: Parameters) -> dict[str, float]:
    """Return every single parameter by the notes' name: ``w1_11``, ..., ``b31`` (row MLP-01).

    Where a number above 9 stands in any name of a matrix or a vector, a comma parts the numbers in
    all its names, as 1 and 11 would read like 11 and 1: ``w1_1,11``, ``b1,11``.
    """
    numbers: dict[str, float] = {}
    for k in range(1, len(params) // 2 + 1):
        weight, bias = params[f"W{k}"], params[f"b{k}"]
        comma = "," if max(weight.shape) > 9 else ""
        for i, row in enumerate(weight.tolist(), start=1):
            numbers |= {f"w{k}_{i}{comma}{j}": w for j, w in enumerate(row, start=1)}
        comma = "," if max(k, len(bias)) > 9 else ""
        numbers |= {f"b{k}{comma}{j}": b for j, b in enumerate(bias.tolist(), start=1)}
    return numbers


class LayersLoss(NamedTuple):
    """A loss of sigmoid outputs, summed over all entries, and how it depends on the last z.

    Attributes:
        value: L(a, y), shape ().
        slope: dL/dz of the last layer, dL/da * da/dz with da/dz = a (1 - a), shaped like a.
    """

    value: Callable[[Tensor, Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]


def _bce(a: Tensor, y: Tensor) -> Tensor:
    return -(torch.xlogy(y, a) + torch.xlogy(1 - y, 1 - a)).sum()


def _bce_slope(a: Tensor, y: Tensor) -> Tensor:
    # dL/da = (a - y) / (a (1 - a)), and the denominator is da/dz.
    return a - y


def _squared(a: Tensor, y: Tensor) -> Tensor:
    return (y - a).square().sum()


def _squared_slope(a: Tensor, y: Tensor) -> Tensor:
    return -2 * (y - a) * a * (1 - a)


#: ``bce``: -sum(y log a + (1 - y) log(1 - a)), row BPR-05. ``squared``: sum (y - a)^2;
#: ``half_squared``: half of it; ``mean_squared``: the mean, over rows and outputs. The last three
#: all stand in the notes; their gradients differ by 2 and n, and so does what a rate means (E33).
LOSSES = {
    "bce": LayersLoss(_bce, _bce_slope),
    "squared": LayersLoss(_squared, _squared_slope),
    "half_squared": LayersLoss(
        lambda a, y: _squared(a, y) / 2, lambda a, y: _squared_slope(a, y) / 2
    ),
    "mean_squared": LayersLoss(
        lambda a, y: _squared(a, y) / a.numel(), lambda a, y: _squared_slope(a, y) / a.numel()
    ),
}


class Layers:
    """Sigmoid layers of any number and sizes, trained by backpropagation layer by layer.

    Args:
        loss: A name in `LOSSES`.

    Raises:
        ConfigError: For another name.
    """

    def __init__(self, loss: str = "bce") -> None:
        if loss not in LOSSES:
            raise unknown_name("loss of backprop.Layers", loss, LOSSES)
        self.criterion = LOSSES[loss]

    def draw(
        self, sizes: Sequence[int], seed: int, dtype: torch.dtype = torch.float64
    ) -> Parameters:
        """Return first parameters for layer sizes such as (4, 3, 2, 1).

        Weights are from N(0, 1/fan_in), so that sums of many inputs do not saturate a sigmoid (row
        INI-09); biases are 0.
        """
        params = {}
        for k, (before, after) in enumerate(itertools.pairwise(sizes), start=1):
            stream = seeding.generator(seed, "init", f"W{k}")
            normal = torch.randn(before, after, generator=stream, dtype=torch.float64)
            params[f"W{k}"] = (normal / math.sqrt(before)).to(dtype)
            params[f"b{k}"] = torch.zeros(after, dtype=dtype)
        return params

    def forward(self, params: Parameters, x: Tensor) -> list[Tensor]:
        """Return [O0, O1, ..., OL] for rows (B, in), or for one row (in,)."""
        return propagate(params, x)

    def loss(self, activations: list[Tensor], y: Tensor) -> Tensor:
        """Return the loss, shape (); of a single output, ``y`` may lack the last axis.

        Raises:
            ConfigError: For targets of another shape than the outputs.
        """
        a = activations[-1]
        return self.criterion.value(a, targets_like(y, a))

    def backward(self, params: Parameters, activations: list[Tensor], y: Tensor) -> Parameters:
        """Return the derivative by every parameter, summed over the rows of a batch.

        From the last layer to the first, with a for the notes' O::

            dL/dW3 = dL/da3 da3/dz3 dz3/dW3             = a2^T dL/dz3
            dL/dW2 = dL/dz3 dz3/da2 da2/dz2 dz2/dW2     = a1^T dL/dz2
            dL/dW1 = dL/dz2 dz2/da1 da1/dz1 dz1/dW1     = a0^T dL/dz1

        dL/dz of a layer is computed once and handed to the layer before it (row BPR-04)::

            dL/dz2 = (dL/dz3 W3^T) * a2 (1 - a2)

        For binary cross-entropy dL/dz3 is a3 - y; as the notes lay W and a out, with a column
        for each row of ours, dL/dW3 is then (a3 - y) a2^T (row BPR-05).
        """
        a = [rows.reshape(-1, rows.shape[-1]) for rows in activations]
        gradients = {}
        dz = self.criterion.slope(a[-1], targets_like(y, activations[-1]).reshape(a[-1].shape))
        for k in range(len(a) - 1, 0, -1):
            gradients[f"W{k}"] = a[k - 1].T @ dz
            gradients[f"b{k}"] = dz.sum(0)
            if k > 1:
                dz = (dz @ params[f"W{k}"].T) * a[k - 1] * (1 - a[k - 1])
        return gradients
