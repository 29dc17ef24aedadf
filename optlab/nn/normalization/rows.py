"""Normalization of every row by its own statistics: one layer alone, and all others.

Shapes: runs R, rows N, columns C; x [R, N, C], weight and bias [R, C], moments [R, N, 3]: mean,
gain 1 / sqrt(variance + eps) and the part of the mean that rounding took away.
"""

import torch
from torch import Tensor

from optlab.nn.lone import is_alone, lone
from optlab.nn.normalization import kernels as native
from optlab.nn.normalization.eager import ready, wide
from optlab.nn.normalization.kernels import kernels_for, kernels_of
from optlab.nn.normalization.normalize import check_dtypes, check_shapes, serves
from optlab.nn.operation import Operation

MaybeTensor = Tensor | None


def row_normalize(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Give every row of ``x`` mean 0 and deviation 1, then scale and shift its columns.

    Args:
        x: Input, shape (..., C); the result has its shape and dtype, in the usual order.
        weight: Scale, shape (C,), or None; of x's dtype, or float32 where x has half precision.
        bias: Shift, likewise.
        eps: What is added to the variance; positive.

    Raises:
        ConfigError: When the dtypes do not go together.

    Source: Ba, Kiros and Hinton, 2016, equation 4.
    """
    if is_alone(x) and serves(x, x.shape[-1], (weight, bias)):
        return _lone(x, weight, bias, eps)[0]
    check_dtypes("layer normalization", x, weight, bias)
    check_shapes(x.shape[-1], weight=weight, bias=bias)
    w, b = (None if t is None else t.unsqueeze(0) for t in (weight, bias))
    rows = x.reshape(1, x.shape[:-1].numel(), x.shape[-1])
    # Away from the CPU a compiler makes kernels of plain operations and of what stands around.
    fused = torch.compiler.is_compiling() and not x.is_cpu
    (y,) = (_reference if fused else _operation)(rows, w, b, eps)
    return y.reshape(x.shape)


# ---- One layer alone: x in its own shape, the others (C,) ----


def _lone_forward(
    x: Tensor, weight: MaybeTensor, bias: MaybeTensor, eps: float
) -> tuple[Tensor, Tensor]:
    x, kernels = x.contiguous(), kernels_for(x.dtype)
    assert kernels is not None
    sizes = (1, x.numel() // x.shape[-1], x.shape[-1])
    return native.layer_norm(kernels, (x, weight, bias), eps, sizes)


def _lone_backward(
    grad: Tensor,
    x: Tensor,
    weight: MaybeTensor,
    bias: MaybeTensor,
    moments: Tensor,
    eps: float,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    x, kernels = x.contiguous(), kernels_for(x.dtype)
    assert kernels is not None
    made = (
        torch.empty_like(x) if needed[0] else None,
        torch.empty_like(weight) if needed[1] and weight is not None else None,
        torch.empty_like(bias) if needed[2] and bias is not None else None,
    )
    sizes = (1, x.numel() // x.shape[-1], x.shape[-1])
    read = (grad.contiguous(), x, weight, moments)
    native.layer_norm_backward(kernels, read, sizes, made)
    return made


def _lone_plain(x: Tensor, weight: MaybeTensor, bias: MaybeTensor, eps: float) -> Tensor:
    w, b = (None if t is None else t.unsqueeze(0) for t in (weight, bias))
    rows = x.reshape(1, x.shape[:-1].numel(), x.shape[-1])
    return _reference(rows, w, b, eps)[0].reshape(x.shape)


_lone = lone(_lone_forward, _lone_backward, _lone_plain, num_tensors=3)


# ---- Stacks, transforms, compilers, other devices ----


def _forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    values = ready(x, wide(x.dtype))
    scale, shift = (None if t is None else ready(t, values.dtype) for t in (weight, bias))
    kernels = kernels_of(values)
    if kernels is not None:
        runs, rows, columns = values.shape
        tensors, sizes = (values, scale, shift), (runs, rows, columns)
        y, moments = native.layer_norm(kernels, tensors, eps, sizes)
        return ready(y, x.dtype), moments
    mean = values.mean(-1, keepdim=True)
    centred = values - mean
    rest = centred.mean(-1, keepdim=True)
    centred -= rest
    gain = torch.rsqrt((centred * centred).mean(-1, keepdim=True) + eps)
    y = centred.mul_(gain)
    y = y if scale is None else y.mul_(scale.unsqueeze(1))
    y = y if shift is None else y.add_(shift.unsqueeze(1))
    return ready(y, x.dtype), torch.cat([mean, gain, rest], -1)


def _backward(
    grad: Tensor | None,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    moments: Tensor,
    eps: float,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    grad = torch.zeros_like(x) if grad is None else grad
    slopes, values, kept = (ready(t, moments.dtype) for t in (grad, x, moments))
    scale = None if weight is None else ready(weight, moments.dtype)
    kernels = kernels_of(values)
    runs, rows, columns = values.shape
    if kernels is None:
        made = _eager_backward(slopes, values, scale, kept)
    else:
        features = (runs, columns)
        made = torch.empty_like(values), kept.new_empty(features), kept.new_empty(features)
        read, written = (slopes, values, scale, kept), (made[0] if needed[0] else None, *made[1:])
        native.layer_norm_backward(kernels, read, (runs, rows, columns), written)
    dx, dweight, dbias = (
        ready(d, tensor.dtype) if tensor is not None and wanted else x.new_empty(0)
        for d, tensor, wanted in zip(made, (x, weight, bias), needed, strict=True)
    )
    return dx, dweight, dbias


def _eager_backward(
    grad: Tensor, x: Tensor, weight: Tensor | None, moments: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias.

    With n = (x - mean) * gain and h = weight * g: dx = gain * (h - mean(h) - n * mean(h * n)).
    """
    mean, gain, rest = (part.unsqueeze(-1) for part in moments.unbind(-1))
    normal = (x - mean).sub_(rest).mul_(gain)
    inner = grad if weight is None else grad * weight.unsqueeze(1)
    slope = (inner * normal).mean(-1, keepdim=True)
    dx = (inner - inner.mean(-1, keepdim=True) - normal * slope).mul_(gain)
    return dx, (grad * normal).sum(1), grad.sum(1)


def _shapes(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    moments = x.new_empty((x.shape[0], x.shape[1], 3), dtype=wide(x.dtype))
    return torch.empty_like(x, memory_format=torch.contiguous_format), moments


def _reference(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor]:
    values = x.to(wide(x.dtype))
    centred = values - values.mean(-1, keepdim=True)
    y = centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + eps)
    y = y if weight is None else y * weight.unsqueeze(1)
    y = y if bias is None else y + bias.unsqueeze(1)
    return (y.to(x.dtype),)


_operation = Operation(
    "layer_norm", _forward, _backward, _shapes, _reference, num_tensors=3, unread=(0,)
)
