"""Maximum and mean over windows of images, and their gradients, for a stack of layers at once.

Shapes: runs R, batch B, channels C, height H, width W, window (M, N), result (P, Q).
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import NoCompiler
from optlab.nn.images.windows import (
    check_memory,
    empty_images,
    gathered,
    output_size,
    seen_by_place,
)
from optlab.nn.lone import is_alone, lone
from optlab.nn.native import address, library, suffix_for
from optlab.nn.normalization.eager import wide
from optlab.nn.operation import Operation
from optlab.nn.operation_autograd import Tensors

_Sizes = ctypes.c_int64 * 11


def _shape(
    x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> list[int]:
    lengths = zip(x.shape[3:], size, stride, padding, strict=True)
    return [*x.shape[:3], *(output_size(n, w, s, 2 * p) for n, w, s, p in lengths)]


def _max_shapes(
    x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor, Tensor]:
    shape = _shape(x, size, stride, padding)
    return empty_images(x, shape), x.new_empty(shape, dtype=torch.int16)


def _max_forward(
    x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor, Tensor]:
    y, places = _max_shapes(x, size, stride, padding)
    kernel = kernel_for("max_pool2d", x)
    if kernel is None:
        found, places = _largest(x, size, stride, padding)
        return y.copy_(found), places
    result = _contiguous(y)
    sizes = _sizes(x, y, size, stride, padding)
    x = x.contiguous()
    check_memory(
        kernel(sizes, address(x), address(result), address(places), torch.get_num_threads())
    )
    return (result if result is y else y.copy_(result)), places


def _max_backward(
    grad: Tensor,
    x: Tensor,
    places: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    needed: Sequence[bool],
) -> tuple[Tensor]:
    kernel = kernel_for("max_pool2d_grad", x, grad)
    if kernel is None:
        values = [torch.where(places == k, grad, 0) for k in range(size[0] * size[1])]
        return (gathered(values, x, size, stride, _both_sides(padding)),)
    grad, to = grad.contiguous(), _contiguous(x, fresh=True)
    sizes = _sizes(x, grad, size, stride, padding)
    check_memory(
        kernel(sizes, address(grad), address(places), address(to), torch.get_num_threads())
    )
    return (to,)


def _max_reference(
    x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor]:
    with torch.no_grad():
        _, places = _largest(x, size, stride, padding)
    seen = seen_by_place(x, size, stride, _both_sides(padding), fill=-torch.inf)
    chosen = (torch.where(places == k, pixels, 0) for k, pixels in enumerate(seen))
    return (functools.reduce(torch.add, chosen),)


def _largest(
    x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Return the first maximum of each window (or the last NaN), and its place in the window."""
    inside = torch.ones_like(x[:1, :1, :1], dtype=torch.bool)
    seen = seen_by_place(x, size, stride, _both_sides(padding), fill=-torch.inf)
    real = seen_by_place(inside, size, stride, _both_sides(padding))
    best = torch.full_like(seen[0], -torch.inf)
    places = torch.full_like(best, -1, dtype=torch.int16)
    for k, (value, is_pixel) in enumerate(zip(seen, real, strict=True)):
        take = (value > best) | value.isnan() | ((places < 0) & is_pixel)
        best = torch.where(take, value, best)
        places = torch.where(take, k, places)
    return best, places


def _avg_shapes(
    x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor]:
    return (empty_images(x, _shape(x, size, stride, padding)),)


def _avg_forward(
    x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor]:
    (y,) = _avg_shapes(x, size, stride, padding)
    kernel = kernel_for("avg_pool2d", x)
    if kernel is None:
        return (y.copy_(_avg_reference(x, size, stride, padding)[0]),)
    result = _contiguous(y)
    sizes = _sizes(x, y, size, stride, padding)
    x = x.contiguous()
    check_memory(kernel(sizes, address(x), address(result), torch.get_num_threads()))
    return (result if result is y else y.copy_(result),)


def _avg_backward(
    grad: Tensor,
    x: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    needed: Sequence[bool],
) -> tuple[Tensor]:
    kernel = kernel_for("avg_pool2d_grad", x, grad)
    if kernel is None:
        share = grad.to(wide(grad.dtype)) / (size[0] * size[1])
        values = [share] * (size[0] * size[1])
        return (gathered(values, x, size, stride, _both_sides(padding)).to(grad.dtype),)
    grad, to = grad.contiguous(), _contiguous(x, fresh=True)
    sizes = _sizes(x, grad, size, stride, padding)
    check_memory(kernel(sizes, address(grad), address(to), torch.get_num_threads()))
    return (to,)


def _avg_reference(
    x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[Tensor]:
    # Half precision is summed in float32: a small number added to a large sum would be lost.
    seen = seen_by_place(x.to(wide(x.dtype)), size, stride, _both_sides(padding))
    return ((functools.reduce(torch.add, seen) / len(seen)).to(x.dtype),)


def kernel_for(name: str, *tensors: Tensor) -> Any:
    """Return the C function called so for such tensors, or None when there is none."""
    suffix = suffix_for(*tensors)
    return None if suffix is None else _kernel(f"{name}_{suffix}", name.startswith("max"))


@functools.cache
def _kernel(name: str, has_places: bool) -> Any:
    found = library("pool")
    if isinstance(found, NoCompiler):
        return None
    function = getattr(found, name)
    function.argtypes = [_Sizes, *[ctypes.c_void_p] * (2 + has_places), ctypes.c_int]
    function.restype = ctypes.c_int
    return function


def _sizes(
    x: Tensor, y: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Any:
    """Return the struct ``Sizes`` of pool.c."""
    planes = x.shape[0] * x.shape[1] * x.shape[2]
    return _Sizes(planes, *x.shape[3:], *y.shape[3:], *size, *stride, *padding)


def _contiguous(like: Tensor, fresh: bool = False) -> Tensor:
    """Return a tensor itself if it is contiguous (and none is asked for), else such a new one."""
    if like.is_contiguous() and not fresh:
        return like
    return torch.empty_like(like, memory_format=torch.contiguous_format)


def _both_sides(padding: Sequence[int]) -> tuple[int, int, int, int]:
    high, wide = padding
    return high, high, wide, wide


def _operations(
    name: str,
    forward: Callable[..., Tensors],
    backward: Callable[..., Tensors],
    shapes: Callable[..., Tensors],
    reference: Callable[..., Tensors],
) -> Callable[..., Tensor]:
    """Return the function of images (B, C, H, W) that these parts, made for stacks, make up."""
    operation = Operation(name, forward, backward, shapes, reference, num_tensors=1, unread=(0,))

    def lone_forward(x: Tensor, *numbers: Any) -> Tensors:
        return tuple(part.squeeze_(0) for part in forward(x.unsqueeze(0), *numbers))

    def lone_backward(grad: Tensor, x: Tensor, *kept: Any) -> Tensors:
        kept = tuple(part.unsqueeze(0) if isinstance(part, Tensor) else part for part in kept)
        (slope,) = backward(grad.unsqueeze(0), x.unsqueeze(0), *kept)
        return (slope.squeeze(0),)

    def plain(x: Tensor, *numbers: Any) -> Tensor:
        return reference(x.unsqueeze(0), *numbers)[0].squeeze(0)

    quick = lone(lone_forward, lone_backward, plain, num_tensors=1)

    def pool(x: Tensor, *numbers: Any) -> Tensor:
        if is_alone(x):
            return quick(x, *numbers)[0]
        return operation(x.unsqueeze(0), *numbers)[0].squeeze(0)

    return pool


#: ``max_pool2d(x, size, stride, padding)``: the largest number of each window.
max_pool2d = _operations("max_pool2d", _max_forward, _max_backward, _max_shapes, _max_reference)

#: ``avg_pool2d(x, size, stride, padding)``: the mean of each window, zeros of the padding included.
avg_pool2d = _operations("avg_pool2d", _avg_forward, _avg_backward, _avg_shapes, _avg_reference)
