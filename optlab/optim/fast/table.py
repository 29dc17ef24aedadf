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

from optlab.compiler import cpp_library

#: PyTorch's numbers of dtypes and types of devices.
DTYPES = {torch.float16: 5, torch.float32: 6, torch.float64: 7, torch.bfloat16: 15}
_DEVICES = {"cpu": 0, "cuda": 1}

#: Where a tensor's C++ object is; another one after `torch.utils.swap_tensors`.
implementation = attrgetter("_cdata")


@functools.cache
def gatherer() -> Any:
    """Return the library made of gather.cpp.

    Raises:
        NoCompiler: When it cannot be compiled here.
    """
    library = cpp_library(Path(__file__).with_name("gather.cpp").read_text())
    number, place = ctypes.c_int64, ctypes.c_void_p
    library.optlab_gather.restype = library.optlab_blocks.restype = number
    library.optlab_overlap.restype = number
    library.optlab_overlap.argtypes = [number, place, place, *[number] * 3]
    library.optlab_gather.argtypes = [*[number] * 5, *[place] * 7]
    library.optlab_blocks.argtypes = [number, place, number, place]
    return library


_END = object()


class Table:
    """Parameters with their states, and room for what a kernel needs to know of them.

    Args:
        kernel: Updates them.
        params: Parameters of one dtype on one device.
        states: Their states, with the entries of ``kernel.program.entries``.
    """

    def __init__(
        self, kernel: Any, params: Sequence[Tensor], states: Sequence[Mapping[str, Tensor]]
    ) -> None:
        self.kernel, self.params = kernel, list(params)
        self._views = [state.values() for state in states]
        # The end is compared too: states that were emptied in place would match a part of them.
        self._values = [*chain.from_iterable(self._views), _END]
        entries, layout = kernel.program.entries, kernel.program.layout
        entry_tensors = [state[name] for state in states for name in entries]
        dtypes = (*layout.scalars, layout.gradient, *layout.elements)
        count = len(self.params)
        sizes, rows = self._room(count)
        self._others = (ctypes.c_int64 * count)()
        self._found = ctypes.c_int64()
        self._ready = 0
        self._kept = (
            (ctypes.c_void_p * count)(*map(implementation, self.params)),
            (ctypes.c_void_p * len(entry_tensors))(*map(implementation, entry_tensors)),
            (ctypes.c_int64 * len(dtypes))(*(DTYPES[dtype] for dtype in dtypes)),
        )
        places: list[Any] = [*self._kept, sizes, rows, self._others, self._found]
        device = self.params[0].device
        where = (_DEVICES[device.type], device.index or 0)
        lengths = (count, len(layout.scalars), len(entries))
        self._gather_arguments = (*where, *lengths, *addresses(places))

    def _room(self, count: int) -> tuple[Any, Any]:
        """Return memory for the sizes and the rows of pointers of ``count`` tensors."""
        layout = self.kernel.program.layout
        sizes, rows = (ctypes.c_int64 * count)(), (ctypes.c_void_p * (count * layout.row))()
        scratch = (ctypes.c_double * (count * self.kernel.scratch))()
        self._numbers = (ctypes.c_double * layout.hypers)()
        self._step_arguments = addresses([sizes, rows, self._numbers, scratch])
        place = len(layout.scalars) + 1
        self._spans = (*addresses([sizes, rows]), layout.elements[0].itemsize, layout.row, place)
        return sizes, rows

    def is_current(self) -> bool:
        """Return whether the states still hold the tensors that they held."""
        return all(map(is_, chain(*self._views, (_END,)), self._values))

    def gather(self) -> list[Tensor]:
        """Find gradients and memory for the next `step`.

        Returns:
            Parameters with a gradient that the kernel cannot take.
        """
        self._ready = gatherer().optlab_gather(*self._gather_arguments)
        return [self.params[self._others[i]] for i in range(self._found.value)]

    def step(self, numbers: Sequence[float | Tensor]) -> None:
        """Update what `gather` found, with the hyperparameters ``numbers``."""
        if self._ready:
            self._numbers[:] = numbers  # tensors give their value
            self.kernel.step(self._ready, *self._step_arguments, self._threads())

    def _threads(self) -> int:
        """Return how many threads may share the work; parameters on one memory need their order."""
        threads = torch.get_num_threads()
        if threads > 1 and gatherer().optlab_overlap(self._ready, *self._spans):
            return 1
        return threads


def addresses(places: Sequence[Any]) -> tuple[Any, ...]:
    """Return references to ctypes objects, which keep them alive."""
    return tuple(ctypes.byref(place) for place in places)
