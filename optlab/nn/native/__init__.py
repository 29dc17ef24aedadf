"""Kernels of layers in C, compiled on the machine when they are first used.

Each file here is one library. Without a compiler (or for tensors that are not float32 or float64
on the CPU) a layer computes the same with PyTorch's operations.
"""

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import torch
from torch import Tensor

from optlab.compiler import NoCompiler, c_library

_SUFFIX = {torch.float32: "float", torch.float64: "double"}


@functools.cache
def library(name: str) -> ctypes.CDLL | NoCompiler:
    """Return the library made of ``name``.c, or why there is none."""
    try:
        return c_library(Path(__file__).with_name(f"{name}.c").read_text(), reorder=True)
    except NoCompiler as reason:
        return reason


_spelled_out: ContextVar[bool] = ContextVar("spelled_out", default=False)


@contextmanager
def spelled_out() -> Iterator[None]:
    """Within, layers that are asked compute with PyTorch's operations, for somebody who records."""
    token = _spelled_out.set(True)
    try:
        yield
    finally:
        _spelled_out.reset(token)


def is_spelled_out() -> bool:
    """Return whether kernels are to be left aside."""
    return _spelled_out.get()


def suffix_for(*tensors: Tensor | None) -> str | None:
    """Return ``"float"`` or ``"double"`` when C can read these tensors (None is skipped).

    They must lie on the CPU and be of one dtype.
    """
    present = [tensor for tensor in tensors if tensor is not None]
    kinds = {(tensor.device.type, tensor.dtype) for tensor in present}
    device, dtype = next(iter(kinds))
    return _SUFFIX.get(dtype) if len(kinds) == 1 and device == "cpu" else None


def address(tensor: Tensor | None) -> int | None:
    """Return where the elements of a tensor begin; None is the null pointer."""
    return None if tensor is None else tensor.data_ptr()
