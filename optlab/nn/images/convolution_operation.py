"""Convolution of images and its gradients, for a stack of layers at once.

Shapes: runs R, batch B, channels C, height H, width W, output channels O, groups G, kernel (M, N),
taps K = C/G * M * N of one output, output (P, Q). A convolution here is what the field calls one: a
cross-correlation, y[o, p, q] = b[o] + sum of w[o, c, m, n] x[c, p s - pad + m d, q s - pad + n d].

Everywhere, patches of the image are laid out as columns and multiplied by the weights as a matrix
(Chellapilla et al., 2006); on a CPU a C kernel does it without writing all of the columns.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.nn.images import convolution_native as native
from optlab.nn.images.windows import empty_images, gathered, output_size, seen_by_place
from optlab.nn.lone import is_alone, lone
from optlab.nn.operation import Operation


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """Return the convolution of images (B, C, H, W), which fit the weights.

    Args:
        x: The images.
        weight: Filters, (O, C/G, M, N).
        bias: Shifts, (O,), or None.
        stride: Steps of a filter, down and along.
        padding: Zeros above, below, left and right.
        dilation: Steps inside a filter, down and along.
        groups: G.
    """
    numbers = (stride, padding, dilation, groups)
    if is_alone(x, weight, bias):
        return _lone(x, weight, bias, *numbers)[0]
    (y,) = conv2d(x.unsqueeze(0), weight.unsqueeze(0), _one(bias), *numbers)
    return y.squeeze(0)


def _shapes(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> tuple[Tensor]:
    runs, batch, _, height, width = x.shape
    top, bottom, left, right = padding
    rows = output_size(height, weight.shape[3], stride[0], top + bottom, dilation[0])
    columns = output_size(width, weight.shape[4], stride[1], left + right, dilation[1])
    return (empty_images(x, (runs, batch, weight.shape[1], rows, columns)),)


def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> tuple[Tensor]:
    (y,) = _shapes(x, weight, bias, stride, padding, dilation, groups)
    kernel = native.kernel_for(x, weight, bias)
    if kernel is not None:
        images = y if y.is_contiguous() else torch.empty_like(y, memory_format=_CONTIGUOUS)
        kernel.forward(x, weight, bias, images, stride, padding, dilation, groups)
    else:
        (images,) = _reference(x, weight, bias, stride, padding, dilation, groups)
    return (images if images is y else y.copy_(images),)


def _backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    needed: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    found = _gradients(grad, x, weight, stride, padding, dilation, groups, needed)
    dx, dweight, dbias = (grad.new_empty(0) if slope is None else slope for slope in found)
    return dx, dweight, dbias


def _gradients(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    needed: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return the gradients of x, weight and bias, where they are needed."""
    kernel = native.kernel_for(grad, x, weight)
    backward = _eager_backward if kernel is None else kernel.backward
    dx, dweight = backward(grad, x, weight, stride, padding, dilation, groups, needed[0], needed[1])
    return dx, dweight, grad.sum((1, 3, 4)) if needed[2] else None


def _reference(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> tuple[Tensor]:
    runs, batch = x.shape[:2]
    outputs, _, *kernel = weight.shape[1:]
    columns, size = _columns(x, kernel, stride, padding, dilation, groups)
    y = _matrix(weight, groups) @ columns
    y = y.reshape(runs, outputs, batch, *size).transpose(1, 2)
    return (y if bias is None else y + bias[:, None, :, None, None],)


def _eager_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    needs_x: bool,
    needs_weight: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of ``x`` and ``weight``, where they are needed."""
    runs, outputs = grad.shape[0], grad.shape[2]
    flat = grad.transpose(1, 2).reshape(runs, groups, outputs // groups, -1)
    grad_x = grad_weight = None
    if needs_weight:
        columns, _ = _columns(x, weight.shape[3:], stride, padding, dilation, groups)
        grad_weight = (flat @ columns.mT).reshape(weight.shape)
    if needs_x:
        columns = _matrix(weight, groups).mT @ flat
        places = weight.shape[3] * weight.shape[4]
        taps = columns.reshape(runs, x.shape[2], places, x.shape[1], *grad.shape[3:])
        values = [tap.transpose(1, 2) for tap in taps.unbind(2)]
        grad_x = gathered(values, x, weight.shape[3:], stride, padding, dilation)
    return grad_x, grad_weight


def _matrix(weight: Tensor, groups: int) -> Tensor:
    """Return the weights as matrices (R, G, O/G, K)."""
    return weight.reshape(weight.shape[0], groups, weight.shape[1] // groups, -1)


def _columns(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> tuple[Tensor, Sequence[int]]:
    """Return the patches of ``x`` as columns (R, G, K, B*P*Q), and (P, Q)."""
    seen = seen_by_place(x, kernel, stride, padding, dilation)
    columns = torch.stack([pixels.transpose(1, 2) for pixels in seen], 2)  # (R, C, M*N, B, P, Q)
    taps = x.shape[2] // groups * len(seen)
    return columns.reshape(x.shape[0], groups, taps, seen[0][0, :, 0].numel()), seen[0].shape[3:]


def _one(tensor: Tensor | None) -> Tensor | None:
    """Return a tensor as that of one run."""
    return None if tensor is None else tensor.unsqueeze(0)


def _lone_forward(x: Tensor, weight: Tensor, bias: Tensor | None, *numbers: Any) -> tuple[Tensor]:
    (y,) = _forward(x.unsqueeze(0), weight.unsqueeze(0), _one(bias), *numbers)
    return (y.squeeze_(0),)


def _lone_backward(
    grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, *numbers: Any
) -> tuple[Tensor | None, ...]:
    found = _gradients(grad.unsqueeze(0), x.unsqueeze(0), weight.unsqueeze(0), *numbers)
    return tuple(None if slope is None else slope.squeeze(0) for slope in found)


def _lone_plain(x: Tensor, weight: Tensor, bias: Tensor | None, *numbers: Any) -> Tensor:
    (y,) = _reference(x.unsqueeze(0), weight.unsqueeze(0), _one(bias), *numbers)
    return y.squeeze(0)


_CONTIGUOUS = torch.contiguous_format

#: ``conv2d(x, weight, bias, stride, padding, dilation, groups)`` gives (y,); padding is
#: [top, bottom, left, right].
conv2d = Operation("conv2d", _forward, _backward, _shapes, _reference, num_tensors=3, unread=(0,))

_lone = lone(_lone_forward, _lone_backward, _lone_plain, num_tensors=3)
