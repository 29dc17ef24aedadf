"""The passes of an LSTM direction in C (native/lstm.c), for float32 and float64 on the CPU.

The whole loop over time runs there. Shapes: runs R, time T, batch B, inputs I, hidden H.
"""

import ctypes
import functools
from typing import Any

import torch
from torch import Tensor

from optlab.nn.native import address, library, suffix_for
from optlab.nn.operation_autograd import Tensors
from optlab.nn.recurrent.lstm_eager import new_outputs


def is_native(*floats: Tensor | None) -> bool:
    """Return whether the C kernels can take these tensors (None is skipped)."""
    return suffix_for(*floats) is not None and isinstance(library("lstm"), ctypes.CDLL)


@functools.cache
def _function(name: str, dtype: torch.dtype, num_pointers: int) -> Any:
    """Return a function of the library; it takes sizes and then so many addresses."""
    suffix = "float" if dtype == torch.float32 else "double"
    function: Any = getattr(library("lstm"), f"lstm_{name}_{suffix}")
    function.argtypes = [ctypes.c_void_p] * (1 + num_pointers)
    return function


def _call(name: str, sizes: list[int], tensors: list[Tensor | None], dtype: torch.dtype) -> None:
    packed = (ctypes.c_int64 * len(sizes))(*sizes)
    function = _function(name, dtype, len(tensors))
    if function(packed, *(address(tensor) for tensor in tensors)):
        raise MemoryError(f"no memory for the {name} pass of an LSTM of sizes {sizes[:5]}")


def _rows(tensor: Tensor) -> Tensor:
    """Return a tensor whose last axis lies close; the others may have any strides."""
    return tensor if tensor.stride(-1) == 1 or tensor.shape[-1] == 1 else tensor.contiguous()


def _sizes(x: Tensor, hidden: int, reverse: bool) -> list[int]:
    return [*x.shape, hidden, *x.stride()[:3], int(reverse), torch.get_num_threads()]


def native_forward(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Compute the forward pass; arguments and results as in `lstm_operation`."""
    x = _rows(x)
    given = [h0, c0, weight_ih, weight_hh, bias_ih, bias_hh]
    close = [None if tensor is None else tensor.contiguous() for tensor in given]
    ends = None if lengths is None else lengths.to(torch.int64).contiguous()
    outputs = new_outputs(x, weight_hh.shape[2], keep)
    kept = outputs if keep else (*outputs[:3], None, None)
    sizes = _sizes(x, weight_hh.shape[2], reverse)
    _call("forward", sizes, [x, *close, ends, *kept], x.dtype)
    return outputs


def native_backward(
    grad_h: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    gates: Tensor,
    cells: Tensor,
    lengths: Tensor | None,
    reverse: bool,
    needed: list[bool],
) -> Tensors:
    """Return the gradients of x, h0, c0, weight_ih, weight_hh and of a bias.

    Arguments as in `lstm_operation`; what is not ``needed`` is an empty tensor.
    """
    x, grad_h = _rows(x), None if grad_h is None else _rows(grad_h)
    given = [h0, c0, weight_ih, weight_hh]
    states, kept = [grad_h_n, grad_c_n], [h, gates, cells]
    close = [None if t is None else t.contiguous() for t in (*states, x, *given)]
    ends = None if lengths is None else lengths.to(torch.int64).contiguous()
    close[2] = x
    wanted = [*needed[:5], needed[5] or needed[6]]
    like = [x, *given, gates.new_empty(weight_hh.shape[:2])]
    new = [x.new_empty(t.shape if want else 0) for t, want in zip(like, wanted, strict=True)]
    into = [t if want else None for t, want in zip(new, wanted, strict=True)]
    strides = (0, 0, 0) if grad_h is None else grad_h.stride()[:3]
    sizes = [*_sizes(x, weight_hh.shape[2], reverse), *strides]
    rest = [t.contiguous() for t in kept]
    _call("backward", sizes, [grad_h, *close, ends, *rest, *into], x.dtype)
    return tuple(new)
