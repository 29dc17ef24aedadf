"""PyTorch's operations that are made of simpler ones, taken apart."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import NotCompiled

aten = torch.ops.aten


def _log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    shifted = x - x.amax(dim, keepdim=True)
    return shifted - shifted.exp().sum(dim, keepdim=True).log()


def _log_softmax_backward(grad: Tensor, y: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
    return grad - y.exp() * grad.sum(dim, keepdim=True)


def _softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    powers = (x - x.amax(dim, keepdim=True)).exp()
    return powers / powers.sum(dim, keepdim=True)


def _softmax_backward(grad: Tensor, y: Tensor, dim: int, dtype: torch.dtype) -> Tensor:
    product = grad * y
    return product - y * product.sum(dim, keepdim=True)


def _addmm(c: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _added(c, aten.mm.default(a, b), beta, alpha)


def _baddbmm(c: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _added(c, aten.bmm.default(a, b), beta, alpha)


def _added(c: Tensor, product: Tensor, beta: float, alpha: float) -> Tensor:
    scaled = product if alpha == 1 else product * alpha
    return scaled + (c if beta == 1 else c * beta)


def _threshold_backward(grad: Tensor, x: Tensor, threshold: float) -> Tensor:
    return torch.where(x <= threshold, 0.0, grad)


def _tanh_backward(grad: Tensor, y: Tensor) -> Tensor:
    return grad * (1 - y * y)


def _sigmoid_backward(grad: Tensor, y: Tensor) -> Tensor:
    return grad * (y * (1 - y))


def _addcmul(c: Tensor, a: Tensor, b: Tensor, *, value: float = 1) -> Tensor:
    return c + (a * b if value == 1 else a * b * value)


def _addcdiv(c: Tensor, a: Tensor, b: Tensor, *, value: float = 1) -> Tensor:
    return c + (a / b if value == 1 else a / b * value)


def _lerp(start: Tensor, end: Tensor, weight: float | Tensor) -> Tensor:
    way = end - start  # measured from the nearer end, so that either is met exactly
    if isinstance(weight, Tensor):
        return torch.where(weight.abs() < 0.5, start + weight * way, end - way * (1 - weight))
    return start + weight * way if abs(weight) < 0.5 else end - way * (1 - weight)


def _slice_backward(
    grad: Tensor, sizes: Sequence[int], dim: int, start: int, end: int, step: int
) -> Tensor:
    return torch.slice_scatter(_zeros(grad, sizes), grad, dim, start, end, step)


def _select_backward(grad: Tensor, sizes: Sequence[int], dim: int, index: int) -> Tensor:
    return torch.select_scatter(_zeros(grad, sizes), grad, dim, index)


def _embedding_dense_backward(
    grad: Tensor, index: Tensor, num: int, padding: int, scale: bool
) -> Tensor:
    if scale:
        raise NotCompiled("an embedding with scale_grad_by_freq is not compiled")
    rows, places = grad.reshape(-1, grad.shape[-1]), index.reshape(-1)
    if padding >= 0:
        rows = torch.where((places != padding).unsqueeze(1), rows, 0.0)
    return _zeros(grad, (num, grad.shape[-1])).index_add(0, places, rows)


def _zeros(like: Tensor, sizes: Sequence[int]) -> Tensor:
    return torch.zeros(list(sizes), dtype=like.dtype, device=like.device)


def _filled(number: float) -> Callable[..., Tensor]:
    def new(like: Tensor, sizes: Sequence[int], *, dtype: Any = None, **_: Any) -> Tensor:
        kind = like.dtype if dtype is None else dtype
        return torch.full(list(sizes), number, dtype=kind, device=like.device)

    return new


#: By the operator that they stand for.
COMPOSITES: dict[Any, Callable[..., Tensor]] = {
    aten._log_softmax.default: _log_softmax,
    aten._log_softmax_backward_data.default: _log_softmax_backward,
    aten._softmax.default: _softmax,
    aten._softmax_backward_data.default: _softmax_backward,
    aten.addmm.default: _addmm,
    aten.baddbmm.default: _baddbmm,
    aten.threshold_backward.default: _threshold_backward,
    aten.tanh_backward.default: _tanh_backward,
    aten.sigmoid_backward.default: _sigmoid_backward,
    aten.addcmul.default: _addcmul,
    aten.addcdiv.default: _addcdiv,
    aten.lerp.Scalar: _lerp,
    aten.lerp.Tensor: _lerp,
    aten.slice_backward.default: _slice_backward,
    aten.select_backward.default: _select_backward,
    aten.embedding_dense_backward.default: _embedding_dense_backward,
    aten.new_zeros.default: _filled(0),
    aten.new_ones.default: _filled(1),
    aten.square.default: lambda x: x * x,
}
