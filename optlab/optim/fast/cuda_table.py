"""Tensors on a CUDA device that one launch updates."""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.optim.fast import cuda
from optlab.optim.fast.cuda_source import PREAMBLE, THREADS, arguments_type
from optlab.optim.fast.kernel import CudaKernel
from optlab.optim.fast.table import DTYPES, Table, gatherer

#: Blocks of a launch over large tensors: some for every multiprocessor of any device to date.
_BLOCKS = 2048
#: What CUDA graphs may still point to after a table is gone.
_captured: list[Tensor] = []


class CudaTable(Table):
    """As `Table`; ``step`` launches one kernel and waits for nothing.

    Args:
        kernel: Updates them.
        params: At most ``kernel.rows`` parameters of one dtype on one device.
        states: Their states; all entries are on that device, also the scalars.

    Raises:
        NotCompiled: When the kernel cannot be had on that device.
    """

    def __init__(
        self, kernel: CudaKernel, params: Sequence[Tensor], states: Sequence[Mapping[str, Tensor]]
    ) -> None:
        self._device = params[0].device
        rows, source = kernel.short if len(params) <= kernel.short[0] else kernel.long
        self._launch = cuda.launcher(PREAMBLE + source, self._device.index or 0)
        self._arguments: Any = arguments_type(kernel.program.layout, rows)()
        self._tickets = torch.zeros(len(params), dtype=torch.int32, device=self._device)
        self._arguments.tickets = self._tickets.data_ptr()
        self._blocks_arguments = (_BLOCKS, ctypes.byref(self._arguments.first))
        self._read: Sequence[float | Tensor] = ()
        self._copies: list[Tensor] = []
        self._is_captured = False
        super().__init__(kernel, params, states)

    def _room(self, count: int) -> tuple[Any, Any]:
        return self._arguments.sizes, self._arguments.rows

    def step(self, numbers: Sequence[float | Tensor]) -> None:
        """Update what `gather` found, with the hyperparameters ``numbers``.

        A tensor on the device is read there, when the kernel runs.
        """
        if not self._ready:
            return
        if numbers is not self._read:
            self._take(numbers)
        if not self._is_captured and cuda.is_capturing():
            self._is_captured = True
            _captured.append(self._tickets)
        a, count = self._arguments, self._ready
        a.count = count
        a.chunk = gatherer().optlab_blocks(count, ctypes.byref(a.sizes), *self._blocks_arguments)
        self._launch(a.first[count], THREADS, a)

    def _take(self, numbers: Sequence[float | Tensor]) -> None:
        """Write hyperparameters, or where they are, into the arguments of the launch."""
        a, self._read, self._copies = self._arguments, numbers, []
        for index, number in enumerate(numbers):
            if not isinstance(number, Tensor):
                a.places[index], a.numbers[index] = None, number
                continue
            if number.device != self._device or number.dtype not in DTYPES:
                number = number.to(self._device, torch.float64)
                self._copies.append(number)
            a.places[index], a.kinds[index] = number.data_ptr(), DTYPES[number.dtype]
