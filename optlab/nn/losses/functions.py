"""Losses as functions, as the course notes write them: of a prediction and its target.

Every function gives the loss of each sample or element with ``reduction="none"`` and the cost,
their average, with ``"mean"`` (the notes' loss and cost functions, row LOS-16). Shapes: rows B,
outputs D, classes C.
"""

from typing import Literal

import torch
from torch import Tensor

from optlab.config import ConfigError
from optlab.nn.losses.encoding import check_labels

Reduction = Literal["mean", "none"]


def mse(prediction: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Squared error (y - p)^2, gradient -2 (y - p) (course notes, row LOS-01)."""
    _check_pair(prediction, target)
    return _reduce((prediction - target).square(), reduction)


def half_mse(prediction: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Half the squared error, gradient p - y: half the step of `mse` (rows LOS-01 and E33)."""
    return 0.5 * mse(prediction, target, reduction)


def mae(prediction: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Absolute error |y - p|, robust to outliers; gradient 0 at y = p (row LOS-04)."""
    _check_pair(prediction, target)
    return _reduce((prediction - target).abs(), reduction)


def huber(
    prediction: Tensor, target: Tensor, delta: float = 1.0, reduction: Reduction = "mean"
) -> Tensor:
    """(y - p)^2 / 2 where |y - p| <= delta, else delta |y - p| - delta^2 / 2.

    Half the squared error for small errors, delta times the absolute error for large ones.
    Source: Huber, 1964; course notes, rows LOS-05 and E5.
    """
    _check_pair(prediction, target)
    error = (prediction - target).abs()
    quadratic = error.clamp(max=delta)
    return _reduce(quadratic * torch.sub(error, quadratic, alpha=0.5), reduction)


def bce(probability: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Binary cross-entropy -y log p - (1 - y) log(1 - p) (course notes, rows LOS-07 and E7).

    Probabilities are kept one rounding away from 0 and 1, where the logarithm is infinite;
    `bce_with_logits` needs no such bound.
    """
    _check_pair(probability, target)
    edge = torch.finfo(probability.dtype).eps
    p = probability.clamp(edge, 1 - edge)
    return _reduce(-(target * p.log() + (1 - target) * (1 - p).log()), reduction)


def bce_with_logits(score: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """`bce` of p = sigmoid(z) as max(z, 0) - y z + log(1 + e^-|z|); gradient p - y.

    With r = max(z, 0), -|z| is written z - 2 r: so the gradient is right at z = 0 as well, where
    a net with zero weights starts, and derivatives of any order are finite at large |z|.
    """
    _check_pair(score, target)
    r = torch.relu(score)
    tail = torch.log1p(torch.exp(torch.sub(score, r, alpha=2)))
    return _reduce(torch.addcmul(r, target, score, value=-1) + tail, reduction)


def cce(probability: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Categorical cross-entropy -sum_j y_j log p_j (course notes, row LOS-09).

    Args:
        probability: Shape (B, C), rows summing to 1.
        target: One-hot rows or other distributions, shape (B, C).
        reduction: ``"none"`` gives shape (B,).
    """
    _check_pair(probability, target)
    logs = probability.clamp(min=torch.finfo(probability.dtype).tiny).log()
    return _reduce(-(target * logs).sum(-1), reduction)


def cce_with_logits(score: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """`cce` of p = softmax(z); gradient p - y."""
    _check_pair(score, target)
    return _reduce(-(target * torch.log_softmax(score, -1)).sum(-1), reduction)


def sparse_cce(probability: Tensor, labels: Tensor, reduction: Reduction = "mean") -> Tensor:
    """`cce` with the target given as labels (B,), without one-hot rows (row LOS-10)."""
    logs = probability.clamp(min=torch.finfo(probability.dtype).tiny).log()
    return _pick(logs, labels, reduction)


def sparse_cce_with_logits(score: Tensor, labels: Tensor, reduction: Reduction = "mean") -> Tensor:
    """`sparse_cce` of p = softmax(z)."""
    return _pick(torch.log_softmax(score, -1), labels, reduction)


def perceptron_loss(score: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """max(0, -y f) for y in {-1, +1}: the distance on the wrong side (row LOS-11).

    On the line itself (f = 0) the gradient is -y, that of a wrong row, as in the update rule of
    the notes (rows PER-06 and E20); f = 0 everywhere is a trivial minimum (row LOS-12).
    """
    _check_pair(score, target)
    signed = target * score
    return _reduce(torch.relu(signed) - signed, reduction)


def hinge(score: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """max(0, 1 - y f) for y in {-1, +1}: also small margins cost (row E6).

    The notes give this name to `perceptron_loss`.
    """
    _check_pair(score, target)
    return _reduce(torch.relu(1 - target * score), reduction)


def _check_pair(prediction: Tensor, target: Tensor) -> None:
    """Refuse shapes that PyTorch would stretch: (B, 1) and (B,) to B x B. One number stays one."""
    if prediction.shape != target.shape and prediction.ndim:
        raise ConfigError(
            f"predictions and targets must have one shape, got {tuple(prediction.shape)} and "
            f"{tuple(target.shape)}; reshape one of them, as with .unsqueeze(-1)"
        )


def _reduce(values: Tensor, reduction: Reduction) -> Tensor:
    return values.mean() if reduction == "mean" else values


def _pick(logs: Tensor, labels: Tensor, reduction: Reduction) -> Tensor:
    """Return minus the logarithm (B, C) in each label's column."""
    if labels.shape != logs.shape[:-1]:
        raise ConfigError(
            f"labels must be one for each row of scores, shape {tuple(logs.shape[:-1])}, got "
            f"{tuple(labels.shape)}"
        )
    try:
        chosen = logs.gather(-1, labels.unsqueeze(-1))
    except (RuntimeError, IndexError):
        check_labels(labels, logs.shape[-1])
        raise
    if reduction == "mean":
        # One kernel less, forward and backward, than the mean of the negative.
        return chosen.sum() * (-1 / labels.numel())
    return -chosen.squeeze(-1)
