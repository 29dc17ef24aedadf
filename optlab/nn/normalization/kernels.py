"""Calls of native/norm.c: every number and address of a call is packed into one argument."""

import functools
import struct
from ctypes import c_char_p
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from optlab.compiler import NoCompiler
from optlab.nn.native import is_spelled_out, library

#: Runs, rows, channels, positions of a tensor [R, N, C, L].
Sizes = tuple[int, int, int, int]

Tensors = tuple[Tensor | None, ...]


class Kernel(Protocol):
    """Calls a C function with the members of its struct, in order."""

    def __call__(self, *members: float) -> None:
        """Call it.

        Raises:
            MemoryError: When there is none for its sums.
        """
        ...


class Kernels(NamedTuple):
    """The functions of norm.c for one dtype."""

    batch_norm: Kernel
    batch_norm_backward: Kernel
    track: Kernel
    layer_norm: Kernel
    layer_norm_backward: Kernel


#: Members of the structs: P an address, d a double, q a 64-bit integer.
_LAYOUTS = Kernels._fields, ("5Pd6q2P", "4Pd7q3P", "P2dq3P", "3Pd4q2P", "4P4q3P")


@functools.cache
def kernels_for(dtype: torch.dtype) -> Kernels | None:
    """Return the functions for tensors of ``dtype`` on the CPU, if there are any."""
    suffix = {torch.float32: "float", torch.float64: "double"}.get(dtype)
    if suffix is None or isinstance(library("norm"), NoCompiler):
        return None
    return Kernels(
        *(_kernel(f"{name}_{suffix}", layout) for name, layout in zip(*_LAYOUTS, strict=True))
    )


def kernels_of(x: Tensor) -> Kernels | None:
    """Return the functions that serve ``x``, if there are any; not for an empty one."""
    return kernels_for(x.dtype) if x.is_cpu and x.numel() and not is_spelled_out() else None


def _kernel(name: str, layout: str) -> Kernel:
    function = getattr(library("norm"), name)
    function.argtypes = [c_char_p]
    pack = struct.Struct(layout).pack

    def call(*members: float) -> None:
        if function(pack(*members)):
            raise MemoryError(f"no memory for the sums of {name}")

    return call


def batch_norm(
    kernels: Kernels, tensors: Tensors, eps: float, sigma: bool, sizes: Sizes
) -> tuple[Tensor, Tensor]:
    """Return the result, laid out as x, and the moments [R, 3, C].

    Args:
        kernels: Those for x.
        tensors: x, weight, bias, mean, variance: dense and of one dtype; all but x may be None.
        eps: Positive.
        sigma: Whether ``eps`` is added to sigma.
        sizes: Of x.
    """
    x = tensors[0]
    assert x is not None
    y, moments = torch.empty_like(x), x.new_empty((sizes[0], 3, sizes[2]))
    read = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
    threads = torch.get_num_threads()
    kernels.batch_norm(*read, eps, sigma, *sizes, threads, y.data_ptr(), moments.data_ptr())
    return y, moments


def batch_norm_backward(
    kernels: Kernels,
    tensors: Tensors,
    eps: float,
    sigma: bool,
    given: bool,
    sizes: Sizes,
    gradients: Tensors,
) -> None:
    """Fill the gradients of x, weight and bias; those that are None are not computed.

    Args:
        kernels: Those for x.
        tensors: Gradient of the result (laid out as x), x, weight (may be None), moments.
        eps: Positive.
        sigma: Whether ``eps`` is added to sigma.
        given: Whether the statistics were given, and so are constants.
        sizes: Of x.
        gradients: What to fill.
    """
    read = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
    written = [0 if tensor is None else tensor.data_ptr() for tensor in gradients]
    threads = torch.get_num_threads()
    kernels.batch_norm_backward(*read, eps, sigma, given, *sizes, threads, *written)


def layer_norm(
    kernels: Kernels, tensors: Tensors, eps: float, sizes: tuple[int, int, int]
) -> tuple[Tensor, Tensor]:
    """Return the result, laid out as x, and the moments [R, N, 3].

    Args:
        kernels: Those for x.
        tensors: x, weight, bias: dense and of one dtype; all but x may be None.
        eps: Positive.
        sizes: R, N and C of x.
    """
    x = tensors[0]
    assert x is not None
    y, moments = torch.empty_like(x), x.new_empty((sizes[0], sizes[1], 3))
    read = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
    made = (y.data_ptr(), moments.data_ptr())
    kernels.layer_norm(*read, eps, *sizes, torch.get_num_threads(), *made)
    return y, moments


def layer_norm_backward(
    kernels: Kernels, tensors: Tensors, sizes: tuple[int, int, int], gradients: Tensors
) -> None:
    """Fill the gradients of x, weight and bias; those that are None are not computed.

    Args:
        kernels: Those for x.
        tensors: Gradient of the result, x, weight (may be None), moments: all dense.
        sizes: R, N and C of x.
        gradients: What to fill.
    """
    read = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
    written = [0 if tensor is None else tensor.data_ptr() for tensor in gradients]
    kernels.layer_norm_backward(*read, *sizes, torch.get_num_threads(), *written)
