"""A function of tensors compiled to C for given shapes, called with addresses."""

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import c_library
from optlab.environment import usable_cores
from optlab.train.native import elementwise, lookups, reductions, views  # noqa: F401 - they register
from optlab.train.native.lower import Lowering
from optlab.train.native.steady import steady_graph_of
from optlab.train.native.values import C_TYPES, Call, Part, Ref, Storage

LINE = 64  # bytes between which tensors begin, so that sums are taken alike wherever they lie

_tracing = threading.Lock()


@dataclass(frozen=True)
class Function:
    """Compiled statements and the calls between them.

    Attributes:
        plan: Names of C functions ``(arguments, room, tools)`` and calls of PyTorch, in order.
        room: Bytes of memory to work in.
        offsets: Where in the room the inputs without a slot lie, by number of the input.
        held: Tensors to pass as the last arguments.
        source: The C code, which a compiler may still be working on.
    """

    plan: Sequence[str | Call]
    room: int
    offsets: dict[int, int]
    held: list[Tensor]
    source: str
    _library: "Future[ctypes.CDLL]"

    @property
    def is_whole(self) -> bool:
        """Whether it is one C function, without calls of PyTorch."""
        return len(self.plan) == 1 and isinstance(self.plan[0], str)

    @cached_property
    def steps(self) -> list[Any]:
        """C functions and calls, once the compiler has done its work.

        Raises:
            NoCompiler: When it could not.
        """
        return [self._part(step) if isinstance(step, str) else step for step in self.plan]

    @cached_property
    def address(self) -> int | None:
        """Where the C function is, if the whole is one."""
        return ctypes.cast(self.steps[0], ctypes.c_void_p).value if self.is_whole else None

    def _part(self, name: str) -> Any:
        part = getattr(self._library.result(), name)
        part.restype, part.argtypes = None, [ctypes.c_void_p] * 3
        return part


def compiled(
    function: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor],
    slots: Sequence[int | None],
    results: Sequence[int],
) -> Function:
    """Return a function as C for tensors like ``inputs``, which lie in order in memory.

    Args:
        function: Returns tensors; see `optlab.train.native.graph.graph_of`.
        inputs: Examples; their values do not matter.
        slots: For each the number of its argument, or None for one that lies in the room.
        results: For each output the number of the argument it is written to, which may be that of
            an input.

    Raises:
        Exception: Whatever the function raises for tensors without values.
    """
    # Copies: what the function writes into is nobody's yet.
    examples = [tensor.clone(memory_format=torch.contiguous_format) for tensor in inputs]
    with _tracing:
        graph = steady_graph_of(function, examples)
    used = [slot for slot in (*slots, *results) if slot is not None]
    lowering = Lowering(graph, slots, results, max(used, default=-1) + 1)
    room = _laid_out(lowering.storages)
    steps = [step for step in lowering.steps if isinstance(step, Call) or step.lines]
    names = {id(step): f"part_{i}" for i, step in enumerate(steps) if isinstance(step, Part)}
    plan = [step if isinstance(step, Call) else names[id(step)] for step in steps]
    source = _source([step for step in steps if isinstance(step, Part)], list(names.values()))
    offsets = {
        i: ref.storage.offset
        for i, (ref, slot) in enumerate(zip(lowering.inputs, slots, strict=True))
        if slot is None
    }
    library = _compilers().submit(c_library, source)
    return Function(plan, room, offsets, lowering.held, source, library)


@functools.cache
def _compilers() -> ThreadPoolExecutor:
    """Return threads that wait for compilers while the next function is recorded."""
    os.register_at_fork(after_in_child=_compilers.cache_clear)  # threads do not go along
    return ThreadPoolExecutor(usable_cores(), "optlab-compiler")


def _laid_out(storages: Sequence[Storage]) -> int:
    """Give every piece of room its place, and pieces that do not meet the same; return the size."""
    placed: list[Storage] = []
    size = 0
    own = [storage for storage in storages if storage.slot is None]
    for storage in sorted(own, key=lambda s: -s.bytes):
        taken = sorted(
            (other.offset, other.offset + other.bytes)
            for other in placed
            if other.born <= storage.last and storage.born <= other.last
        )
        at = 0
        for start, end in taken:
            if at + storage.bytes <= start:
                break
            at = max(at, end)
        storage.offset = at
        placed.append(storage)
        size = max(size, at + storage.bytes)
    return size


def _source(parts: Sequence[Part], names: Sequence[str]) -> str:
    lines = [_MATH, ""]
    for name, part in zip(names, parts, strict=True):
        pointers = [
            f"{C_TYPES[s.dtype]} *{s.name} = ({C_TYPES[s.dtype]} *)({_address(s)});"
            for s in part.storages
        ]
        lines += [
            f"void {name}(char *const *given, char *room, const tools *with) {{",
            *(f"    {line}" for line in (*pointers, *part.lines)),
            "}",
            "",
        ]
    return "\n".join(lines)


def _address(storage: Storage) -> str:
    return f"room + {storage.offset}" if storage.slot is None else f"given[{storage.slot}]"


class Bound:
    """A function with its arguments: tensors whose memory it reads and writes when called.

    Args:
        function: What to call.
        arguments: A tensor for each argument but the held ones; they must lie in order.
        room: Memory of at least ``function.room`` bytes, aligned, a uint8 tensor.
    """

    def __init__(self, function: Function, arguments: Sequence[Tensor], room: Tensor) -> None:
        self.function = function
        self._tensors = [*arguments, *function.held]
        self._room = room
        addresses = [tensor.data_ptr() for tensor in self._tensors]
        self.addresses = (ctypes.c_void_p * max(len(addresses), 1))(*addresses)
        self._steps: list[Callable[[], Any]] = [self._step(step) for step in function.steps]

    def __call__(self) -> None:
        """Compute everything once."""
        for step in self._steps:
            step()

    def _step(self, step: Any) -> Callable[[], Any]:
        if not isinstance(step, Call):
            return functools.partial(step, self.addresses, self._room.data_ptr(), toolbox())
        arguments = _bound(step.arguments, self._tensor)
        keywords = _bound(step.keywords, self._tensor)
        places = [None if ref is None else self._tensor(ref) for ref in step.results]

        def call() -> None:
            found = step.function(*arguments, **keywords)
            for place, value in zip(places, _listed(found), strict=True):
                if place is not None:
                    place.copy_(value)

        return call

    def _tensor(self, ref: Ref) -> Tensor:
        storage = ref.storage
        if storage.slot is None:
            part = self._room[storage.offset : storage.offset + storage.bytes]
            flat = part.view(storage.dtype)
        else:
            flat = self._tensors[storage.slot].reshape(-1)
        return flat.as_strided(ref.shape, ref.strides, flat.storage_offset() + ref.offset)


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, tuple | list) else [found]


def _bound(tree: Any, tensor: Callable[[Ref], Tensor]) -> Any:
    if isinstance(tree, Ref):
        return tensor(tree)
    if isinstance(tree, dict):
        return {key: _bound(value, tensor) for key, value in tree.items()}
    return [_bound(value, tensor) for value in tree] if isinstance(tree, list) else tree


class _Tools(ctypes.Structure):
    _fields_ = [("product_float", ctypes.c_void_p), ("product_double", ctypes.c_void_p)]


@functools.cache
def kernels() -> ctypes.CDLL:
    """Return the library of what every program calls."""
    here = Path(__file__).parent
    return c_library((here / "kernels.c").read_text(), reorder=True)


@functools.cache
def _toolbox() -> _Tools:
    found = (getattr(kernels(), f"product_{kind}") for kind in ("float", "double"))
    return _Tools(*(ctypes.cast(f, ctypes.c_void_p) for f in found))


@functools.cache
def toolbox() -> int:
    """Return the address of what generated functions call."""
    return ctypes.addressof(_toolbox())


_MATH = Path(__file__).with_name("math.h").read_text()


def room_of(size: int) -> Tensor:
    """Return memory to work in, aligned to a cache line."""
    whole = torch.zeros(size + LINE, dtype=torch.uint8)
    return whole[-whole.data_ptr() % LINE :][: max(size, 1)]
