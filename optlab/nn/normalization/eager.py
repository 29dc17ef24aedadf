"""Batch normalization in PyTorch's operations, for every device and dtype.

Shapes: runs R, rows N, channels C, positions L; x [R, N, C, L], weight, bias and given statistics
[R, C], moments [R, 3, C]: mean, biased variance and the part of the mean that rounding took away.
"""

import torch
from torch import Tensor


def reference(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    eps: float,
    sigma: bool,
) -> tuple[Tensor, Tensor]:
    """Return the result and the moments, in operations that can be differentiated.

    Statistics, given or returned, are constants.
    """
    values = x.to(wide(x.dtype))
    if mean is None or variance is None:
        mean = values.mean((1, 3))
        centred = values - lined_up(mean)
        variance = centred.square().mean((1, 3))
    else:
        mean, variance = (t.detach().to(values.dtype) for t in (mean, variance))
        centred = values - lined_up(mean)
    scale = _gain(variance, eps, sigma) * (1 if weight is None else weight)
    y = centred * lined_up(scale)
    y = y if bias is None else y + lined_up(bias)
    moments = torch.stack([mean, variance, torch.zeros_like(mean)], 1)
    return y.to(x.dtype), moments.detach()


def forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    eps: float,
    sigma: bool,
) -> tuple[Tensor, Tensor]:
    """Return the result and the moments."""
    if mean is not None and variance is not None:
        scale = _gain(variance, eps, sigma) * (1 if weight is None else weight)
        shift = -mean * scale if bias is None else bias - mean * scale
        moments = torch.stack([mean, variance, torch.zeros_like(mean)], 1)
        return torch.addcmul(lined_up(shift), x, lined_up(scale)), moments
    mean = x.mean((1, 3))
    centred = x - lined_up(mean)
    rest = centred.mean((1, 3))
    centred -= lined_up(rest)
    variance = (centred * centred).mean((1, 3))
    scale = _gain(variance, eps, sigma) * (1 if weight is None else weight)
    y = centred.mul_(lined_up(scale))
    return y if bias is None else y.add_(lined_up(bias)), torch.stack([mean, variance, rest], 1)


def backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    moments: Tensor,
    eps: float,
    sigma: bool,
    given: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias.

    With c = x - m, gain r and count n::

        dweight = r * sum(g * c)        dbias = sum(g)
        dx = weight * r * (g - sum(g) / n - c * sum(g * c) * s / n)

    where s is r^2, or r / sqrt(v) when eps is added to sigma; given statistics leave only the
    first term of dx.
    """
    mean, variance, rest = moments.unbind(1)
    centred = (x - lined_up(mean)).sub_(lined_up(rest))
    gain = _gain(variance, eps, sigma)
    first, second = grad.sum((1, 3)), (grad * centred).sum((1, 3))
    scale = gain if weight is None else gain * weight
    if given:
        return grad * lined_up(scale), second * gain, first
    slope = gain.square()
    if sigma:
        positive = variance > 0
        slope = gain / torch.where(positive, variance, 1.0).sqrt() * positive
    count = x.shape[1] * x.shape[3]
    pulled = centred.mul_(lined_up(second * slope / -count)).add_(grad)
    pulled.sub_(lined_up(first / count)).mul_(lined_up(scale))
    return pulled, second * gain, first


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype to compute in: float32 for half precision."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def ready(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``tensor`` in a dtype to compute in and in the usual order."""
    # Asking first is six times as fast as a conversion that does nothing.
    return (tensor if tensor.dtype is dtype else tensor.to(dtype)).contiguous()


def lined_up(numbers: Tensor) -> Tensor:
    """Return numbers of the channels, [R, C], as [R, 1, C, 1]."""
    return numbers[:, None, :, None]


def _gain(variance: Tensor, eps: float, sigma: bool) -> Tensor:
    return torch.reciprocal(_root(variance) + eps) if sigma else torch.rsqrt(variance + eps)


def _root(variance: Tensor) -> Tensor:
    """Return sqrt with derivative 0 at 0, so that a constant channel sends no NaN back."""
    positive = variance > 0
    return torch.where(positive, variance, 1.0).sqrt() * positive
