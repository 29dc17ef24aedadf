"""Metrics: pure functions from tensors to a 0-d tensor, cheap enough for every step."""

import torch
from torch import Tensor


def accuracy(predicted: Tensor, labels: Tensor) -> Tensor:
    """Return the share of ``predicted`` that equals ``labels``, both (B,) int64; float32."""
    return torch.mean(predicted == labels, dtype=torch.float32)


def mean_square_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean of the squared errors: averages over chunks, whose root is `rmse`."""
    return (prediction - target).square().mean()


def rmse(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the root of the mean squared error, in the unit of ``target``.

    Course notes, rows LOS-15 and E34.
    """
    return mean_square_error(prediction, target).sqrt()


def mae(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error, in the unit of ``target`` (course notes, row LOS-04)."""
    return (prediction - target).abs().mean()


def dead_unit_fraction(slopes: Tensor) -> Tensor:
    """Return the share of units through which no row sends a gradient (course notes, row GRD-09).

    Args:
        slopes: f'(z) of every row and unit, shape (N, H), from `Activation.derivative`. An output
            of 0 would not do: a leaky unit with a negative output still learns.
    """
    return torch.mean((slopes == 0).all(0), dtype=torch.float32)
