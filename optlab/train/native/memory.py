"""The memory of a function that is being compiled: arguments, tensors it holds, room to work in."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import NotCompiled
from optlab.train.native.graph import Tracked
from optlab.train.native.values import C_TYPES, Ref, Storage, contiguous, leaves


class Memory:
    """Pieces of memory, and when they are in use.

    Args:
        constants: Number of the first argument for tensors that the function holds itself.

    Attributes:
        storages: All pieces.
        inputs: Where each input lies.
        held: Tensors that the function holds, in the order of their arguments.
        clock: Number of the present statement.
    """

    def __init__(self, constants: int) -> None:
        self.storages: list[Storage] = []
        self.inputs: list[Ref] = []
        self.held: list[Tensor] = []
        self.clock = 0
        self._first_constant = constants
        self._arguments: dict[int, Storage] = {}
        self._numbers = itertools.count()

    def constant(self, tensor: Tensor) -> Ref:
        """Return where a tensor lies that is the same at every call."""
        tensor = tensor.detach().contiguous()
        slot = self._first_constant + len(self.held)
        self.held.append(tensor)
        storage = self.storage(tensor.dtype, max(tensor.numel(), 1), slot)
        return Ref(storage, tuple(tensor.shape), contiguous(tensor.shape))

    def room(self, shape: Sequence[int], dtype: torch.dtype) -> Ref:
        """Return a new place to write to."""
        shape = tuple(shape)
        storage = self.storage(dtype, max(math.prod(shape), 1))
        return Ref(storage, shape, contiguous(shape))

    def input(self, tracked: Tracked, slot: int | None) -> Ref:
        """Return where an input lies."""
        storage = self.storage(tracked.dtype, max(math.prod(tracked.shape), 1), slot)
        ref = Ref(storage, tracked.shape, contiguous(tracked.shape))
        self.inputs.append(ref)
        return ref

    def storage(self, dtype: torch.dtype, size: int, slot: int | None = None) -> Storage:
        """Return memory of so many elements: that of an argument, or new room."""
        if dtype not in C_TYPES:
            raise NotCompiled(f"compiled programs know no tensors of {dtype}")
        if slot is not None and slot in self._arguments:
            return self._arguments[slot]
        name = f"b{next(self._numbers)}"
        storage = Storage(name, dtype, size, slot, self.clock, self.clock)
        self.storages.append(storage)
        if slot is not None:
            self._arguments[slot] = storage
        return storage

    def touch(self, used: Sequence[Any]) -> list[Storage]:
        """Say that the present statement uses these values; return their memory."""
        storages = [ref.storage for ref, _ in leaves(used)]
        for storage in storages:
            storage.last = self.clock
        return storages
