"""The loops over time of `rnn_operation` in C, for float32 and float64 on the CPU.

Shapes: runs R, time T, batch B, inputs I, units H.
"""

import ctypes
import functools
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from optlab.nn.native import address, library, suffix_for

_KINDS = {"tanh": 0, "relu": 1, "identity": 2}
_GEMM = {"float": "sgemm_", "double": "dgemm_"}
#: Bytes: BLAS may sum in another order where an array begins elsewhere within so many.
_LINE = 64


def serves(*floats: Tensor | None) -> bool:
    """Return whether these tensors can be computed with here; sizes must be below 2^31."""
    suffix = suffix_for(*floats)
    small = all(t is None or math.prod(t.shape[:-1]) < 2**31 for t in floats)
    if suffix is None or not small or sys.byteorder != "little":
        return False
    return isinstance(library("rnn"), ctypes.CDLL) and _gemm(suffix) is not None


def forward(
    x: Tensor,
    initial: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    nonlinearity: str,
    reverse: bool,
) -> Tensor:
    """Return the states after every step, (R, T, B, H)."""
    states = _empty(*x.shape[:3], weight_hh.shape[-1], like=x)
    given = (x, initial, weight_ih, weight_hh, bias_ih, bias_hh, _as_int64(lengths))
    sizes = (*x.shape, weight_hh.shape[-1], _KINDS[nonlinearity], int(reverse))
    _call("forward", sizes, given, [states])
    return states.contiguous()


def backward(
    grad_states: Tensor | None,
    grad_last: Tensor | None,
    x: Tensor,
    initial: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    lengths: Tensor | None,
    states: Tensor,
    nonlinearity: str,
    reverse: bool,
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Return the gradients of x, initial state, weights and a bias, or None if not ``needed``."""
    carried, bias = _empty(*initial.shape, like=x), _empty(*weight_hh.shape[:2], like=x)
    carried.zero_() if grad_last is None else carried.copy_(grad_last)
    outer = [_empty(*t.shape, like=x) for t in (x, weight_ih, weight_hh)]
    made = [outer[0], carried, *outer[1:], bias]
    wanted = [grad if want else None for grad, want in zip(made, needed, strict=True)]
    runs, steps, batch, units = states.shape
    grad_z, held = x.new_empty(steps * batch * units), x.new_empty(batch * units)
    spare = x.new_empty(units * max(units, x.shape[-1]))
    given = (grad_states, x, initial, weight_ih, weight_hh, _as_int64(lengths), states)
    sizes = (runs, steps, batch, x.shape[-1], units, _KINDS[nonlinearity], int(reverse))
    _call("backward", sizes, given, [carried, wanted[0], *wanted[2:], grad_z, held, spare])
    return [None if grad is None else grad.contiguous() for grad in wanted]


def _as_int64(lengths: Tensor | None) -> Tensor | None:
    return None if lengths is None else lengths.to("cpu", torch.int64)


def _aligned(tensor: Tensor) -> Tensor:
    """Return a tensor of the same numbers in which each run lies close and begins a line.

    With it a run's numbers are bitwise what they are alone, however many runs are stacked.
    """
    tensor = tensor.contiguous()
    begins = tensor.data_ptr() % _LINE == 0
    if begins and (len(tensor) == 1 or tensor[0].numel() * tensor.itemsize % _LINE == 0):
        return tensor
    return _empty(*tensor.shape, like=tensor).copy_(tensor)


def _empty(*shape: int, like: Tensor) -> Tensor:
    """Return an uninitialized tensor in which each run lies close and begins a line."""
    numbers, line = math.prod(shape[1:]), _LINE // like.itemsize
    if shape[0] == 1 or numbers % line == 0:
        return like.new_empty(shape)
    return like.new_empty(shape[0], -(-numbers // line) * line)[:, :numbers].view(shape)


def _call(
    name: str, sizes: Sequence[int], given: Sequence[Tensor | None], made: Sequence[Tensor | None]
) -> None:
    suffix = suffix_for(made[0])
    assert suffix is not None
    tensors = [*(None if tensor is None else _aligned(tensor) for tensor in given), *made]
    apart = (0 if tensor is None else tensor.stride(0) for tensor in tensors)
    numbers = (ctypes.c_int64 * (len(sizes) + len(tensors)))(*sizes, *apart)
    places = [ctypes.c_void_p(address(tensor)) for tensor in tensors]
    function = getattr(library("rnn"), f"{name}_{suffix}")
    function(ctypes.c_void_p(_gemm(suffix)), numbers, *places)


@functools.cache
def _gemm(suffix: str) -> int | None:
    """Return where the matrix product of PyTorch's own BLAS begins, if it shows one."""
    for path in Path(torch.__file__).with_name("lib").glob("libtorch_cpu.*"):
        try:
            found = getattr(ctypes.CDLL(str(path)), _GEMM[suffix])
        except (OSError, AttributeError):
            continue
        return ctypes.cast(found, ctypes.c_void_p).value
    return None
