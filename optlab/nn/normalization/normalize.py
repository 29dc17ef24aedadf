"""Normalization by the statistics of a batch: one layer alone, and all others.

Shapes: batch B, runs R, rows N, channels C, positions L. `optlab.nn.normalization.kernels` and
`optlab.nn.normalization.eager` compute it on tensors [R, N, C, L]: B rows of L positions or, where
channels lie last in memory, B * L rows of one.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.nn.lone import is_alone, lone
from optlab.nn.normalization import eager
from optlab.nn.normalization import kernels as native
from optlab.nn.normalization.eager import wide
from optlab.nn.normalization.kernels import Sizes, kernels_for
from optlab.nn.normalization.operation import operation

MaybeTensor = Tensor | None


def batch_normalize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    eps: float,
    sigma: bool,
) -> tuple[Tensor, Tensor]:
    """Normalize every channel of ``x`` by the batch's statistics, or by given ones.

    Args:
        x: Input, shape (B, C, ...); the result has its shape, dtype and order in memory.
        weight: Scale, shape (C,), or None; of x's dtype, or float32 where x has half precision.
        bias: Shift, likewise.
        mean: Given mean, shape (C,), a constant; None takes that of the batch.
        variance: Given variance, likewise.
        eps: Positive.
        sigma: Whether ``eps`` is added to the root of the variance instead of to the variance.

    Returns:
        The result, and the moments [1, 3, C] (mean, biased variance, rounding of the mean), which
        are constants. They are float32 where x has half precision.

    Raises:
        ConfigError: When the dtypes do not go together.

    Source: Ioffe and Szegedy, 2015, algorithm 1 and the derivatives after it.
    """
    if is_alone(x) and serves(x, x.shape[1], (weight, bias, mean, variance)):
        y, moments = _lone(x, weight, bias, mean, variance, eps, sigma)
        return y, moments
    check_dtypes("batch normalization", x, weight, bias)
    check_shapes(x.shape[1], weight=weight, bias=bias, running_mean=mean, running_var=variance)
    w, b, m, v = (None if t is None else t.unsqueeze(0) for t in (weight, bias, mean, variance))
    # Away from the CPU a compiler makes kernels of plain operations and of what stands around.
    fused = torch.compiler.is_compiling() and not x.is_cpu
    call = eager.reference if fused else operation
    y, moments = call(_arranged(x), w, b, m, v, eps, sigma)
    return _put_back(y, x), moments


def track(
    moments: Tensor, count: int, momentum: float | None, running: tuple[Tensor, Tensor, Tensor]
) -> None:
    """Move running statistics towards those of a batch, in place.

    Args:
        moments: What `batch_normalize` returned.
        count: Values per channel in the batch, at least 2: running variances are unbiased.
        momentum: Share of the batch; None makes the averages plain ones over all batches.
        running: Running mean [C], running variance [C] and the number of batches, 0-d int64.
    """
    mean, variance, batches = running
    channels, counts = moments.shape[2], batches.dtype is torch.int64
    ready = is_alone(mean) and counts and serves(moments, channels, (mean, variance))
    if ready and not mean.is_inference():
        new = -1.0 if momentum is None else momentum
        places = (mean.data_ptr(), variance.data_ptr(), batches.data_ptr())
        kernels = kernels_for(moments.dtype)
        assert kernels is not None
        kernels.track(moments.data_ptr(), new, count, channels, *places)
        torch.autograd.graph.increment_version(running)
        return
    now = moments.detach()[0]
    batches.add_(1)
    share = 1 / batches.to(now.dtype) if momentum is None else momentum
    # Not lerp_, which torch.vmap runs one member at a time.
    mean.mul_(1 - share).add_(now[0] * share)
    variance.mul_(1 - share).add_(now[1] * (share * (count / (count - 1))))


def serves(x: Tensor, features: int, others: Sequence[Tensor | None]) -> bool:
    """Return whether C kernels can read ``x`` and other tensors of so many features."""
    dtype = x.dtype
    if not x.is_cpu or kernels_for(dtype) is None or not x.numel():
        return False
    for tensor in others:
        if tensor is not None and not (
            tensor.dtype is dtype
            # `is_plain`, in less time.
            and (type(tensor) is nn.Parameter or (type(tensor) is Tensor and not tensor.is_neg()))
            and tensor.is_cpu
            and tensor.is_contiguous()
            and tensor.numel() == features
        ):
            return False
    return True


def check_dtypes(what: str, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> None:
    """Refuse dtypes that do not go together.

    Raises:
        ConfigError: When x is no floating-point tensor, or its parameters are neither of its
            dtype nor float32 beside half precision.
    """
    dtype = x.dtype
    if not dtype.is_floating_point:
        raise ConfigError(f"{what} takes floating-point numbers, got {dtype}; convert the input")
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.dtype not in (dtype, wide(dtype)):
            raise ConfigError(
                f"{what} takes an input of its parameters' dtype, or of half precision beside "
                f"float32, got {dtype} with a {name} of {parameter.dtype}; convert the input or "
                "the module"
            )


def check_shapes(features: int, **tensors: Tensor | None) -> None:
    """Refuse tensors that do not have a number for every feature.

    Raises:
        ConfigError: Naming the tensor.
    """
    for name, tensor in tensors.items():
        if tensor is not None and tuple(tensor.shape) != (features,):
            raise ConfigError(
                f"{name} must have shape ({features},), as the input has features, got "
                f"{tuple(tensor.shape)}"
            )


# ---- The order in memory ----


def _channels_lie_last(x: Tensor) -> bool:
    return x.ndim > 2 and x.stride(1) == 1 and x.shape[1] > 1 and not x.is_contiguous()


def _arranged(x: Tensor) -> Tensor:
    """Return x, (B, C, ...), as [1, N, C, L], without a copy where its order allows."""
    batch, channels = x.shape[:2]
    length = math.prod(x.shape[2:])
    if _channels_lie_last(x):
        return x.movedim(1, -1).reshape(1, batch * length, channels, 1)
    return x.reshape(1, batch, channels, length)


def _put_back(y: Tensor, x: Tensor) -> Tensor:
    if _channels_lie_last(x):
        return y.reshape(x.shape[0], *x.shape[2:], x.shape[1]).movedim(-1, 1)
    return y.reshape(x.shape)


def _dense(x: Tensor) -> Tensor:
    """Return x with its elements one after the other, channels last or in the usual order."""
    if x.is_contiguous() or (_channels_lie_last(x) and x.movedim(1, -1).is_contiguous()):
        return x
    return x.contiguous()


def _sizes_of(x: Tensor) -> Sizes:
    """Return the sizes [R, N, C, L] of a dense x, by its order in memory."""
    shape = x.shape
    if len(shape) == 2:
        return 1, shape[0], shape[1], 1
    length = math.prod(shape[2:])
    usual = x.is_contiguous()
    return (1, shape[0], shape[1], length) if usual else (1, shape[0] * length, shape[1], 1)


# ---- One layer alone: x in its own shape and order, the others (C,) ----


def _lone_forward(
    x: Tensor,
    weight: MaybeTensor,
    bias: MaybeTensor,
    mean: MaybeTensor,
    variance: MaybeTensor,
    eps: float,
    sigma: bool,
) -> tuple[Tensor, Tensor]:
    x, kernels = _dense(x), kernels_for(x.dtype)
    assert kernels is not None
    tensors = (x, weight, bias, mean, variance)
    return native.batch_norm(kernels, tensors, eps, sigma, _sizes_of(x))


def _lone_backward(
    grad: Tensor,
    x: Tensor,
    weight: MaybeTensor,
    bias: MaybeTensor,
    mean: MaybeTensor,
    variance: MaybeTensor,
    moments: Tensor,
    eps: float,
    sigma: bool,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    x, kernels = _dense(x), kernels_for(x.dtype)
    assert kernels is not None
    if grad.stride() != x.stride():
        grad = torch.empty_like(x).copy_(grad)
    made = (
        torch.empty_like(x) if needed[0] else None,
        torch.empty_like(weight) if needed[1] and weight is not None else None,
        torch.empty_like(bias) if needed[2] and bias is not None else None,
    )
    read, given = (grad, x, weight, moments), mean is not None
    native.batch_norm_backward(kernels, read, eps, sigma, given, _sizes_of(x), made)
    return (*made, None, None)


def _lone_plain(
    x: Tensor,
    weight: MaybeTensor,
    bias: MaybeTensor,
    mean: MaybeTensor,
    variance: MaybeTensor,
    eps: float,
    sigma: bool,
) -> Tensor:
    w, b, m, v = (None if t is None else t.unsqueeze(0) for t in (weight, bias, mean, variance))
    return _put_back(eager.reference(_arranged(x), w, b, m, v, eps, sigma)[0], x)


_lone = lone(_lone_forward, _lone_backward, _lone_plain, num_tensors=5)
