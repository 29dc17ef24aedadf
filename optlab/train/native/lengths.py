"""Euclidean norms of many small tensors in one call of C, where PyTorch makes a call for each."""

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optlab.compiler import NoCompiler, c_library


def lengths(tensors: Sequence[Tensor], minus: Sequence[Tensor] = ()) -> np.ndarray:
    """Return the norm of every tensor, (N,) float64; no number depends on the other tensors.

    All leave their device in one copy.

    Args:
        tensors: Floating tensors on one device.
        minus: What to take from each of the last ones before, of their shapes and types.
    """
    if not tensors:
        return np.zeros(0)
    function = _function() if tensors[0].device.type == "cpu" else None
    first = len(tensors) - len(minus)
    if function is None:
        less = torch._foreach_sub(list(tensors[first:]), list(minus)) if minus else []
        found = torch._foreach_norm([*tensors[:first], *less], dtype=torch.float64)
        return torch.stack(found).cpu().numpy()
    given, taken = [_plain(t) for t in tensors], [_plain(t) for t in minus]
    none = [0] * first
    numbers = [
        (tensor.data_ptr(), other, tensor.numel(), tensor.element_size())
        for tensor, other in zip(given, [*none, *(t.data_ptr() for t in taken)], strict=True)
    ]
    table, lengths = np.array(numbers, dtype=np.int64), np.empty(len(given))
    function(len(given), table.ctypes.data, lengths.ctypes.data)
    return lengths


def _plain(tensor: Tensor) -> Tensor:
    """Return a tensor as C reads it: in order, of single or double precision."""
    if tensor.dtype is torch.float32 or tensor.dtype is torch.float64:
        return tensor if tensor.is_contiguous() else tensor.contiguous()
    return tensor.to(torch.float64).contiguous()


@functools.cache
def _function() -> Any:
    """Return the function of ``lengths.c``, or None where nothing can be compiled."""
    try:
        source = Path(__file__).with_name("lengths.c").read_text()
        function = c_library(source, reorder=True).lengths
    except NoCompiler:
        return None
    function.restype, function.argtypes = None, [ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
    return function
