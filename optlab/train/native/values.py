"""What a compiled function computes with: memory, places in it, and formulas not computed yet."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

#: How an element is kept in memory and what it is called in C.
C_TYPES = {
    torch.float32: "float",
    torch.float64: "double",
    torch.int64: "int64_t",
    torch.int32: "int32_t",
    torch.int16: "int16_t",
    torch.int8: "int8_t",
    torch.uint8: "uint8_t",
    torch.bool: "uint8_t",
}

Shape = tuple[int, ...]


@dataclass(eq=False)
class Storage:
    """A piece of memory: an argument of the function, or room to work in.

    Attributes:
        name: Of its pointer in C.
        dtype: Of its elements.
        size: Elements.
        slot: Number of the argument, or None for room to work in.
        born, last: Statements between which the room is in use.
        offset: Where in the room it begins, in bytes.
    """

    name: str
    dtype: torch.dtype
    size: int
    slot: int | None = None
    born: int = 0
    last: int = 0
    offset: int = 0

    @property
    def bytes(self) -> int:
        """Room it takes, in whole cache lines."""
        return -(-self.size * self.dtype.itemsize // 64) * 64


@dataclass(frozen=True, eq=False)
class Ref:
    """A tensor that lies somewhere: shape, strides and offset in elements, as PyTorch has them."""

    storage: Storage
    shape: Shape
    strides: Shape
    offset: int = 0

    @property
    def dtype(self) -> torch.dtype:
        """Of its elements."""
        return self.storage.dtype

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its storage, in order."""
        return (
            self.offset == 0
            and self.strides == contiguous(self.shape)
            and math.prod(self.shape) == self.storage.size
        )

    def over(self, shape: Shape) -> Shape:
        """Return its strides when it is broadcast over ``shape``."""
        return broadcast_strides(self.shape, self.strides, shape)


@dataclass(eq=False)
class Formula:
    """A tensor computed element by element from others where it is needed.

    Attributes:
        form: C expression with ``{0}``, ``{1}`` for the arguments, in their types.
        arguments: What it is computed from, broadcast to ``shape``.
        operand: C type that the arguments are converted to.
        shape, dtype: Of the result.
        heavy: Whether it costs much more than a multiplication.
        table: For a lookup, where to look: the tensor without the axis that is looked along, of
            ``length`` places in steps of ``step``; the one argument is the place.
        users: Operations that take it.
        depth: Of the formulas that it is made of, itself included.
        kept: Where it lies once it had to be stored.
    """

    form: str
    arguments: Sequence["Ref | Formula | str"]
    operand: str
    shape: Shape
    dtype: torch.dtype
    heavy: bool = False
    table: Ref | None = None
    length: int = 0
    step: int = 0
    users: int = 1
    depth: int = 1
    kept: Ref | None = None


Value = Ref | Formula


def contiguous(shape: Sequence[int]) -> Shape:
    """Return the strides of a tensor that lies in order."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def broadcast_strides(shape: Shape, strides: Shape, wanted: Shape) -> Shape:
    """Return the strides of a tensor broadcast over ``wanted``."""
    lead = len(wanted) - len(shape)
    own = zip(shape, strides, strict=True)
    return (0,) * lead + tuple(0 if size == 1 else step for size, step in own)


def leaves(values: Sequence[Any]) -> Iterator[tuple[Ref, Shape]]:
    """Yield the tensors that formulas read, each with the shape it is read over."""
    seen: set[int] = set()
    waiting = [value for value in values if isinstance(value, Ref | Formula)]
    shapes = {id(value): value.shape for value in waiting}
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Ref):
            yield value, shapes[id(value)]
        elif value.kept is not None:
            yield value.kept, value.shape
        else:
            if value.table is not None:
                yield value.table, value.shape
            for argument in value.arguments:
                if isinstance(argument, Ref | Formula):
                    shapes[id(argument)] = argument.shape
                    waiting.append(argument)


def is_heavy(value: Value | str) -> bool:
    """Return whether a value costs much more than a multiplication for each element."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Formula) and value.kept is None and id(value) not in seen:
            if value.heavy:
                return True
            seen.add(id(value))
            waiting += value.arguments
    return False


def reads(value: Formula, storage: Storage) -> bool:
    """Return whether a formula that lies nowhere yet is computed from what lies in a storage."""
    return any(ref.storage is storage for ref, _ in leaves([value])) and value.kept is None


@dataclass
class Part:
    """A stretch of statements that run in C, one after another."""

    lines: list[str] = field(default_factory=list)
    storages: dict[Storage, None] = field(default_factory=dict)


@dataclass
class Call:
    """An operation that PyTorch does between two stretches of C.

    Attributes:
        function: The operator.
        arguments, keywords: With a `Ref` wherever a tensor stands.
        results: Where each result goes; None for one that is not used.
    """

    function: Any
    arguments: Any
    keywords: Any
    results: list[Ref | None]
