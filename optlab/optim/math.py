"""The small pieces that update rules are made of. Pure; every number may be a 0-d tensor."""

from collections.abc import Callable, Sequence
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
    return torch.as_tensor(value, dtype=torch.float64, device="cpu").clone()


def as_float64(count: Any) -> Any:
    """Return a counter as float64: float32, in which torch keeps it, is too coarse for powers."""
    return count.double() if isinstance(count, Tensor) else count


def is_zero(strength: Any) -> bool:
    """Return whether something is off: a Python number equal to 0; a tensor may be anything."""
    return isinstance(strength, float | int) and strength == 0


def larger(a: Any, b: Any) -> Any:
    """Return the larger of two values, each a number or a tensor; numbers give a number."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.maximum(a, b)
    if isinstance(a, Tensor):
        return a.clamp(min=b)
    return b.clamp(min=a) if isinstance(b, Tensor) else max(a, b)


def smaller(a: Any, b: Any) -> Any:
    """Return the smaller of two values, each a number or a tensor; numbers give a number."""
    return -larger(-a, -b)


def choose(condition: Any, chosen: Any, other: Any) -> Any:
    """Return ``chosen`` where a condition holds and ``other`` elsewhere.

    The condition is a bool or a bool tensor; the values are numbers or tensors of one dtype. A bool
    gives the chosen value itself: one that goes into a state as it is has to be cloned.
    """
    if isinstance(condition, Tensor):
        return torch.where(condition, chosen, other)
    return chosen if condition else other


def either(
    condition: Any,
    then: Callable[[], tuple[Tensor, ...]],
    otherwise: Callable[[], tuple[Tensor, ...]],
) -> tuple[Tensor, ...]:
    """Return what one of two functions returns, for a condition on a number of a state.

    Args:
        condition: A bool, and only the chosen function runs; or a 0-d bool tensor, and both run,
            whatever they cost, and every value is chosen from the two.
        then: Gives the values where the condition holds.
        otherwise: Gives as many values, of the same shapes and dtypes, where it does not.
    """
    if not isinstance(condition, Tensor):
        return then() if condition else otherwise()
    pairs = zip(then(), otherwise(), strict=True)
    return tuple(torch.where(condition, a, b) for a, b in pairs)


def norm(x: Tensor) -> Tensor:
    """Return the Euclidean norm of all elements, 0-d, summed in the same order for any strides."""
    length: Tensor = torch.linalg.vector_norm(x.contiguous())
    return length


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


def rectification(beta2: Number, t: Number) -> Any:
    """Return RAdam's factor r in (0, 1], or 0 while the mean of squares has too few values.

    Args:
        beta2: Decay of the mean of squares, a number or a 0-d float64 tensor.
        t: Values averaged so far, a number or a 0-d tensor of any real dtype.

    Returns:
        A float when both are numbers, otherwise a 0-d float64 tensor.

    Source: Liu et al. (2020), Algorithm 2, with the bound of the authors' code: rho > 5.
    """
    t = as_float64(t)
    longest = (1 + beta2) / (1 - beta2)  # 2 / (1 - beta2) - 1
    length = longest - 2 * t * beta2**t / bias_correction(beta2, t)
    # A tensor's formula is computed whether it is chosen or not: the bounds keep it real.
    rho, top = larger(length, 5.0), larger(longest, 5.0)
    r = ((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho)) ** 0.5
    return choose(length > 5, r, 0.0)


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
