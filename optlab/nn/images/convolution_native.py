"""The C kernels of convolution, called with tensors; shapes as in convolution_operation.py."""

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import NoCompiler
from optlab.nn.images.windows import check_memory
from optlab.nn.native import address, library, suffix_for

_Sizes = ctypes.c_int64 * 17


class Kernel:
    """Convolution in C for one type of numbers.

    Args:
        find: Returns the C function called so, for that type.
    """

    def __init__(self, find: Callable[[str], Any]) -> None:
        self._forward = find("conv2d")
        self._grad_x, self._grad_weight = find("conv2d_grad_x"), find("conv2d_grad_weight")
        for function in (self._grad_x, self._grad_weight, self._forward):
            function.argtypes = [_Sizes, *[ctypes.c_void_p] * 3, ctypes.c_int]
            function.restype = ctypes.c_int
        self._forward.argtypes = [_Sizes, *[ctypes.c_void_p] * 4, ctypes.c_int]

    def forward(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        y: Tensor,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> None:
        """Write the convolution to ``y``, which is contiguous."""
        sizes = _sizes(x.shape, weight.shape, y.shape, stride, padding, dilation, groups)
        x, weight = x.contiguous(), weight.contiguous()
        bias = None if bias is None else bias.contiguous()
        pixels, filters, shifts, to = x.data_ptr(), weight.data_ptr(), address(bias), y.data_ptr()
        threads = torch.get_num_threads()
        check_memory(self._forward(sizes, pixels, filters, shifts, to, threads))

    def backward(
        self,
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
        sizes = _sizes(x.shape, weight.shape, grad.shape, stride, padding, dilation, groups)
        grad, threads = grad.contiguous(), torch.get_num_threads()
        slopes, grad_x, grad_weight = grad.data_ptr(), None, None
        if needs_x:
            grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
            weight = weight.contiguous()
            filters, to = weight.data_ptr(), grad_x.data_ptr()
            check_memory(self._grad_x(sizes, slopes, filters, to, threads))
        if needs_weight:
            grad_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
            x = x.contiguous()
            pixels, to = x.data_ptr(), grad_weight.data_ptr()
            check_memory(self._grad_weight(sizes, slopes, pixels, to, threads))
        return grad_x, grad_weight


def kernel_for(*tensors: Tensor | None) -> Kernel | None:
    """Return what computes with such tensors in C, or None when nothing does."""
    suffix = suffix_for(*tensors)
    return None if suffix is None else _kernel(suffix)


@lru_cache
def _kernel(suffix: str) -> Kernel | None:
    found = library("conv")
    if isinstance(found, NoCompiler):
        return None
    return Kernel(lambda name: getattr(found, f"{name}_{suffix}"))


def _sizes(
    x: Sequence[int],
    weight: Sequence[int],
    y: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Any:
    """Return the struct ``Sizes`` of conv.c."""
    runs, batch, _, height, width = x
    outputs, channels = weight[1] // groups, weight[2]
    return _Sizes(
        *(runs, batch, groups, channels, outputs, height, width, *y[3:], *weight[3:]),
        *(*stride, padding[0], padding[2], *dilation),
    )
