"""Tensors that one kernel updates, and the pointers to them."""

import ctypes
import functools
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter, is_
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optlab.optim.fast.compiler import cpp_library
from optlab.optim.fast.kernel import Kernel

_DTYPES = {torch.float16: 5, torch.float32: 6, torch.float64: 7, torch.bfloat16: 15}

#: Where a tensor's C++ object is; another one after `torch.utils.swap_tensors`.
implementation = attrgetter("_cdata")


@functools.cache
def gatherer() -> Any:
    """Return the function ``optlab_gather`` of gather.cpp.

    Raises:
        NoCompiler: When it cannot be compiled here.
    """
    source = Path(__file__).with_name("gather.cpp").read_text()
    function = cpp_library(source).optlab_gather
    function.restype = ctypes.c_int64
    function.argtypes = [*[ctypes.c_int64] * 3, *[ctypes.c_void_p] * 7]
    return function


class Table:
    """Parameters with their states, and room for what a kernel needs to know of them.

    Args:
        kernel: Updates them.
        params: Parameters of one dtype.
        states: Their states, with the entries of ``kernel.entries``.
    """

    def __init__(
        self, kernel: Kernel, params: Sequence[Tensor], states: Sequence[Mapping[str, Tensor]]
    ) -> None:
        self.kernel, self.params = kernel, list(params)
        self._views = [state.values() for state in states]
        self._values = list(chain.from_iterable(self._views))
        count, entries, layout = len(self.params), len(kernel.entries), kernel.layout
        entry_tensors = [state[name] for state in states for name in kernel.entries]
        dtypes = (*layout.scalars, layout.gradient, *layout.elements)
        self._sizes = (ctypes.c_int64 * count)()
        self._rows = (ctypes.c_void_p * (count * (entries + 2)))()
        self._scratch = (ctypes.c_double * (count * kernel.scratch))()
        self._others = (ctypes.c_int64 * count)()
        self._found = ctypes.c_int64()
        self._numbers = (ctypes.c_double * layout.hypers)()
        self._ready = 0
        self._kept = (
            (ctypes.c_void_p * count)(*map(implementation, self.params)),
            (ctypes.c_void_p * len(entry_tensors))(*map(implementation, entry_tensors)),
            (ctypes.c_int64 * len(dtypes))(*(_DTYPES[dtype] for dtype in dtypes)),
        )
        places: list[Any] = [*self._kept, self._sizes, self._rows, self._others, self._found]
        self._gather_arguments = (count, len(layout.scalars), entries, *_addresses(places))
        places = [self._sizes, self._rows, self._numbers, self._scratch]
        self._step_arguments = _addresses(places)

    def is_current(self) -> bool:
        """Return whether the states still hold the tensors that they held."""
        return all(map(is_, chain.from_iterable(self._views), self._values))

    def gather(self) -> list[Tensor]:
        """Find gradients and memory for the next `step`.

        Returns:
            Parameters with a gradient that the kernel cannot take.
        """
        self._ready = gatherer()(*self._gather_arguments)
        return [self.params[self._others[i]] for i in range(self._found.value)]

    def step(self, numbers: Sequence[float]) -> None:
        """Update what `gather` found, with the hyperparameters ``numbers``."""
        if self._ready:
            self._numbers[:] = numbers  # type: ignore[call-overload]
            self.kernel.step(self._ready, *self._step_arguments, torch.get_num_threads())


def _addresses(places: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(ctypes.byref(place) for place in places)
