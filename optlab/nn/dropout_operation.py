"""Dropout as an operation: x [R, n] elements of R runs, key and count [R]."""

import functools
import struct
from collections.abc import Callable
from ctypes import c_char_p
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import NoCompiler
from optlab.nn.lone import is_alone, lone
from optlab.nn.native import is_spelled_out, library
from optlab.nn.normalization.eager import ready, wide
from optlab.nn.operation import Operation
from optlab.seeding import uniform_at


def drop(x: Tensor, key: Tensor, count: Tensor, rate: float) -> Tensor:
    """Return ``x`` with elements set to 0, and the others multiplied by 1 / (1 - rate).

    Element i, in the usual order, is kept where number i of `optlab.seeding.uniform_at` is at
    least ``rate``, with every kernel and on every device. Half precision is rounded once.

    Args:
        x: Floating-point tensor of any shape.
        key: Stream, 0-d int64.
        count: Position in time, 0-d int64; it may change in place afterwards.
        rate: Drop probability, in (0, 1).
    """
    if is_alone(x) and x.is_cpu and key.is_cpu and _kernel(x.dtype) is not None:
        return _lone(x, key, count.clone(), rate)[0]
    rows, stream, time = x.reshape(1, x.numel()), key.unsqueeze(0), count.unsqueeze(0)
    if x.is_cpu:
        (y,) = _operation(rows, stream, time.clone(), rate)
    else:
        # On other devices a compiler makes one kernel of this.
        (y,) = _plain(rows, stream, time, rate)
    return y.reshape(x.shape)


@functools.cache
def _kernel(dtype: torch.dtype) -> Callable[..., None] | None:
    """Return the C function for tensors of ``dtype`` on the CPU, if there is one."""
    suffix = {torch.float32: "float", torch.float64: "double"}.get(dtype)
    found = library("dropout")
    if suffix is None or isinstance(found, NoCompiler):
        return None
    function = getattr(found, f"dropout_{suffix}")
    function.argtypes = [c_char_p]
    pack = struct.Struct("3Pd3qP").pack
    return lambda *members: function(pack(*members))


def _run(
    kernel: Callable[..., None], x: Tensor, key: Tensor, count: Tensor, rate: float, runs: int
) -> Tensor:
    x, y = x.contiguous(), torch.empty_like(x, memory_format=torch.contiguous_format)
    streams = (key.contiguous(), count.contiguous())
    read = (x.data_ptr(), streams[0].data_ptr(), streams[1].data_ptr())
    sizes = (runs, x.numel() // max(runs, 1), torch.get_num_threads())
    kernel(*read, rate, *sizes, y.data_ptr())
    return y


def _plain(x: Tensor, key: Tensor, count: Tensor, rate: float) -> tuple[Tensor]:
    dtype = wide(x.dtype)
    drawn = uniform_at(key, count, (x.shape[1],), x.device)
    mask = (drawn >= rate).to(dtype).mul_(1 / (1 - rate))
    return ((x.to(dtype) * mask).to(x.dtype),)


def _forward(x: Tensor, key: Tensor, count: Tensor, rate: float) -> tuple[Tensor]:
    kernel = _kernel(wide(x.dtype)) if x.is_cpu and not is_spelled_out() else None
    if kernel is None:
        return _plain(x, key, count, rate)
    y = _run(kernel, ready(x, wide(x.dtype)), key, count, rate, x.shape[0])
    return (ready(y, x.dtype),)


def _backward(
    grad: Tensor | None,
    x: Tensor,
    key: Tensor,
    count: Tensor,
    rate: float,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    # The function is linear and symmetric: the gradient is dropped where x was.
    grad = torch.zeros_like(x) if grad is None else grad
    return _forward(grad, key, count, rate)[0], key.new_empty(0), count.new_empty(0)


def _shapes(x: Tensor, key: Tensor, count: Tensor, rate: float) -> tuple[Tensor]:
    return (torch.empty_like(x, memory_format=torch.contiguous_format),)


def _lone_forward(x: Tensor, key: Tensor, count: Tensor, rate: float) -> tuple[Tensor, ...]:
    kernel = _kernel(x.dtype)
    assert kernel is not None
    return (_run(kernel, x, key, count, rate, 1),)


def _lone_backward(
    grad: Tensor, x: Tensor, key: Tensor, count: Tensor, rate: float, needed: Any
) -> tuple[Tensor | None, ...]:
    return (*_lone_forward(grad, key, count, rate), None, None)


def _lone_plain(x: Tensor, key: Tensor, count: Tensor, rate: float) -> Tensor:
    rows = x.reshape(1, x.numel())
    return _plain(rows, key.unsqueeze(0), count.unsqueeze(0), rate)[0].reshape(x.shape)


_lone = lone(_lone_forward, _lone_backward, _lone_plain, num_tensors=3)
_operation = Operation("dropout", _forward, _backward, _shapes, _plain, num_tensors=3, unread=(0,))
