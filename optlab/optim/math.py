"""The small pieces that update rules are made of. Pure; every number may be a 0-d tensor."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from optlab.config import check_value
from optlab.types import Decay

Number = float | Tensor
EpsPlacement = Literal["outside", "inside"]


def ema(average: Any, value: Any, beta: Number) -> Any:
    """Return the next exponentially weighted average, ``beta * average + (1 - beta) * value``.

    Tensors give a tensor, numbers a number.

    Source: course notes, row OPT-38; the notes' alpha is ``1 - beta`` (row OPT-41).
    """
    return beta * average + (1 - beta) * value


def zero_step() -> Tensor:
    """Return a step counter at zero as torch keeps it: 0-d, float32, on the CPU."""
    return torch.zeros((), dtype=torch.float32, device="cpu")


def scalar(value: Number) -> Tensor:
    """Return a number of a state other than its counter: 0-d, float64, on the CPU."""
    return torch.as_tensor(value, dtype=torch.float64).clone()


def as_float64(count: Any) -> Any:
    """Return a counter as float64: float32, in which torch keeps it, is too coarse for powers."""
    return count.double() if isinstance(count, Tensor) else count


def bias_correction(beta: Number, t: Number) -> Any:
    """Return ``1 - beta**t``, the sum of the weights in an average that began at zero.

    Args:
        beta: Decay of the average, a number or a 0-d float64 tensor.
        t: Values averaged so far, a number or a 0-d tensor of any real dtype.

    Returns:
        A float when both are numbers, otherwise a 0-d float64 tensor.

    Source: Kingma and Ba (2015), section 3; course notes, rows OPT-30 and OPT-38.
    """
    return 1 - beta ** as_float64(t)


def root(
    square: Tensor, eps: Number, placement: EpsPlacement, correction: Number | None = None
) -> Tensor:
    """Return the root of an average of squares, kept away from zero by ``eps``.

    With ``s = square / correction``, ``"outside"`` is ``sqrt(s) + eps`` (Adam's Algorithm 1, torch)
    and ``"inside"`` is ``sqrt(s + eps)`` (optax, Keras's RMSprop and Adagrad). They part where the
    root is near eps: at s = 1e-12 and eps = 1e-8 they are 1.01e-6 and 1.00e-4.

    Source: course notes, erratum E12.
    """
    if placement == "inside":
        return (square + eps if correction is None else square / correction + eps).sqrt()
    # The order of torch's Adam: the correction is applied to the root, not to the square.
    return (square.sqrt() if correction is None else square.sqrt() / correction**0.5) + eps


def ewma(series: Tensor | Sequence[float], beta: float, bias_correction: bool = False) -> Tensor:
    """Return the exponentially weighted moving average of a series, starting from zero.

    Args:
        series: Values in order of time, shape (T,).
        beta: Weight of the past, in [0, 1): about ``1 / (1 - beta)`` values are averaged.
        bias_correction: Divide by the sum of the weights, so that early values are not drawn
            towards zero. This equals pandas' ``ewm(alpha=1 - beta, adjust=True).mean()``.

    Returns:
        Averages of shape (T,), in the dtype of a floating series and otherwise float64.

    Source: course notes, rows OPT-38 to OPT-41.
    """
    beta = check_value(beta, Decay, "ewma.beta")
    values = torch.as_tensor(series, dtype=None if isinstance(series, Tensor) else torch.float64)
    average, averages, weight = 0.0, [], 1.0
    for value in values.tolist():
        average, weight = ema(average, float(value), beta), weight * beta
        averages.append(average / (1 - weight) if bias_correction else average)
    dtype = values.dtype if values.is_floating_point() else torch.float64
    return torch.tensor(averages, dtype=dtype, device=values.device)
