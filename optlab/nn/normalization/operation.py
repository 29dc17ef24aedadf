"""Batch normalization as an operation: for stacks, transforms, compilers and other devices.

Shapes: runs R, rows N, channels C, positions L; x [R, N, C, L], weight, bias and given statistics
[R, C], moments [R, 3, C]; see `optlab.nn.normalization.eager`.
"""

from typing import Any

import torch
from torch import Tensor

from optlab.nn.normalization import eager
from optlab.nn.normalization import kernels as native
from optlab.nn.normalization.eager import ready, wide
from optlab.nn.normalization.kernels import Sizes, kernels_of
from optlab.nn.operation import Operation


def _forward(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    eps: float,
    sigma: bool,
) -> tuple[Tensor, Tensor]:
    dtype = wide(x.dtype)
    values = ready(x, dtype)
    w, b, m, v = (None if t is None else ready(t, dtype) for t in (weight, bias, mean, variance))
    kernels = kernels_of(values)
    if kernels is None:
        y, moments = eager.forward(values, w, b, m, v, eps, sigma)
    else:
        tensors, sizes = (values, w, b, m, v), _four(values)
        y, moments = native.batch_norm(kernels, tensors, eps, sigma, sizes)
    return ready(y, x.dtype), moments


def _backward(
    grad: Tensor | None,
    grad_of_moments: Tensor | None,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    moments: Tensor,
    eps: float,
    sigma: bool,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    grad = torch.zeros_like(x) if grad is None else grad
    slopes, values, kept = (ready(t, moments.dtype) for t in (grad, x, moments))
    scale = None if weight is None else ready(weight, moments.dtype)
    kernels, given = kernels_of(values), mean is not None
    if kernels is None:
        made = eager.backward(slopes, values, scale, kept, eps, sigma, given)
    else:
        features = (kept.shape[0], kept.shape[2])
        made = torch.empty_like(values), kept.new_empty(features), kept.new_empty(features)
        read, written = (slopes, values, scale, kept), (made[0] if needed[0] else None, *made[1:])
        sizes = _four(values)
        native.batch_norm_backward(kernels, read, eps, sigma, given, sizes, written)
    dx, dweight, dbias = (
        ready(d, tensor.dtype) if tensor is not None and wanted else x.new_empty(0)
        for d, tensor, wanted in zip(made, (x, weight, bias), needed[:3], strict=True)
    )
    # What was given is a constant.
    dmean, dvariance = (
        torch.zeros_like(tensor, memory_format=torch.contiguous_format)
        if tensor is not None and wanted
        else x.new_empty(0)
        for tensor, wanted in zip((mean, variance), needed[3:], strict=True)
    )
    return dx, dweight, dbias, dmean, dvariance


def _shapes(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    moments = x.new_empty((x.shape[0], 3, x.shape[2]), dtype=wide(x.dtype))
    return torch.empty_like(x, memory_format=torch.contiguous_format), moments


def _four(x: Tensor) -> Sizes:
    runs, rows, channels, length = x.shape
    return runs, rows, channels, length


operation = Operation(
    "batch_norm",
    _forward,
    _backward,
    _shapes,
    eager.reference,
    num_tensors=5,
    num_outputs=2,
    unread=(0,),
)
