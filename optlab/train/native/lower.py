"""From a graph of PyTorch's operations to statements in C, and calls between them.

Elementwise operations are not computed where they stand but where their result is needed, inside
the loops of whoever needs it. Views cost nothing. What nothing is registered for in `HANDLERS` is
done by PyTorch between two stretches of C (`optlab.train.native.values.Call`).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from optlab.compiler import NotCompiled
from optlab.train.native import nests
from optlab.train.native.forms import literal
from optlab.train.native.graph import Graph, Node, Tracked
from optlab.train.native.values import (
    C_TYPES,
    Call,
    Formula,
    Part,
    Ref,
    Shape,
    Storage,
    Value,
    contiguous,
    leaves,
)

#: ``(lowering, node, *arguments, **keywords) -> value``, or None for what PyTorch has to do; by the
#: names of PyTorch's operations.
HANDLERS: dict[str, Callable[..., Any]] = {}


H = TypeVar("H", bound=Callable[..., Any])


def lowers(*names: str) -> Callable[[H], H]:
    """Register what lowers operations."""

    def register(handler: H) -> H:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


class Lowering:
    """The statements of one graph.

    Args:
        graph: What to compute.
        slots: For each input the number of the argument, or None where it lies in the room to
            work in, from the first statement to the last.
        results: For each output the number of the argument it is written to.
        constants: Number of the first argument for tensors that the graph holds itself.

    Attributes:
        steps: Stretches of C and calls, in order.
        storages: All memory that they use.
        inputs: Where each input lies.
        held: Tensors that the graph holds, in the order of their arguments.
    """

    def __init__(
        self,
        graph: Graph,
        slots: Sequence[int | None],
        results: Sequence[int],
        constants: int,
    ) -> None:
        self.steps: list[Part | Call] = [Part()]
        self.storages: list[Storage] = []
        self.inputs: list[Ref] = []
        self.held: list[Tensor] = []
        self._first_constant = constants
        self._arguments: dict[int, Storage] = {}
        self._values: dict[Tracked, Any] = {}
        self._clock = 0
        for tracked, slot in zip(graph.inputs, slots, strict=True):
            self._values[tracked] = self._input(tracked, slot)
        for tracked, tensor in graph.constants.items():
            self._values[tracked] = self.constant(tensor)
        for node in graph.nodes:
            self._take(node)
        self._store([self._values[tracked] for tracked in graph.outputs], results)
        for ref in self.inputs:
            if ref.storage.slot is None:
                ref.storage.born, ref.storage.last = 0, self._clock + 1

    # ---- what handlers use ----

    def constant(self, tensor: Tensor) -> Ref:
        """Return where a tensor lies that is the same at every call."""
        tensor = tensor.detach().contiguous()
        slot = self._first_constant + len(self.held)
        self.held.append(tensor)
        storage = self._storage(tensor.dtype, max(tensor.numel(), 1), slot)
        return Ref(storage, tuple(tensor.shape), contiguous(tensor.shape))

    def room(self, shape: Sequence[int], dtype: torch.dtype) -> Ref:
        """Return a new place to write to."""
        shape = tuple(shape)
        storage = self._storage(dtype, max(math.prod(shape), 1))
        return Ref(storage, shape, contiguous(shape))

    def emit(self, lines: Sequence[str], used: Sequence[Value]) -> None:
        """Add statements that read or write ``used``."""
        self._clock += 1
        if not isinstance(self.steps[-1], Part):
            self.steps.append(Part())
        part = self.steps[-1]
        assert isinstance(part, Part)
        part.lines += lines
        part.storages |= dict.fromkeys(self._touch(used))

    def write(self, to: Ref, value: Value) -> None:
        """Compute a value, element by element, into a place of its shape."""
        self.emit(nests.elementwise(value.shape, [(to, value)]), [value, to])

    def ref(self, value: Value) -> Ref:
        """Return where a value lies; it is computed now if it does not lie anywhere."""
        if isinstance(value, Ref):
            return value
        if value.kept is None:
            to = self.room(value.shape, value.dtype)
            self.write(to, value)
            value.kept = to
        return value.kept

    def ready(self, value: Value) -> Value:
        """Return a value for a loop, when others compute with it too and it is dear."""
        if isinstance(value, Formula) and value.users > 1 and is_heavy(value):
            return self.ref(value)
        return value

    def formula(
        self,
        node: Node,
        form: str,
        arguments: Sequence[Any],
        operand: torch.dtype,
        heavy: bool = False,
    ) -> Value:
        """Return what an elementwise operation gives.

        Args:
            node: The operation.
            form: C expression; see `Formula`.
            arguments: Values and numbers.
            operand: In which they meet.
            heavy: Whether it costs much more than a multiplication.
        """
        output = node.output
        size = math.prod(output.shape)
        ready = [self._argument(argument, size) for argument in arguments]
        kind = nests.local_type(operand)
        value = Formula(form, ready, kind, output.shape, output.dtype, heavy, users=output.users)
        return self.ref(value) if size == 1 and ready else value

    def _argument(self, argument: Any, size: int) -> Any:
        if isinstance(argument, int | float):
            return literal(argument)
        if (
            isinstance(argument, Formula)
            and argument.arguments
            and math.prod(argument.shape) < size
        ):
            return self.ref(argument)  # or it would be computed again for every element
        return argument

    # ---- operations ----

    def _take(self, node: Node) -> None:
        args = [self._resolved(a) for a in node.arguments]
        keywords = {key: self._resolved(value) for key, value in node.keywords.items()}
        handler = HANDLERS.get(node.name) if node.target.namespace == "aten" else None
        result = None if handler is None else handler(self, node, *args, **keywords)
        if node.writes:
            if result is None:
                raise NotCompiled(f"{node.target} writes where nothing compiled knows how to")
            self._overwrite(self.ref(args[0]), result)
            return
        if result is None:
            result = self._call(node, args, keywords)
        several = result if node.several else [result]
        self._values |= {t: v for t, v in zip(node.outputs, several, strict=True) if t is not None}

    def _resolved(self, argument: Any) -> Any:
        if isinstance(argument, Tracked):
            return self._values[argument]
        if isinstance(argument, list):
            return [self._resolved(a) for a in argument]
        return argument

    def _overwrite(self, to: Ref, value: Value) -> None:
        """Write into a tensor; what is still to be computed from its old numbers is computed."""
        for other in self._values.values():
            for each in other if isinstance(other, list) else [other]:
                if isinstance(each, Formula) and _reads(each, to.storage):
                    self.ref(each)
        own = Ref(to.storage, value.shape, to.over(value.shape), to.offset)
        self.write(own, value if _is_in_step(value, own, {to.storage}) else self.ref(value))

    def _call(self, node: Node, args: list[Any], keywords: dict[str, Any]) -> Any:
        """Leave an operation to PyTorch."""
        used: list[Ref] = []

        def placed(value: Value) -> Ref:
            used.append(self.ref(value))
            return used[-1]

        args, keywords = _mapped(args, placed), _mapped(keywords, placed)
        self._clock += 1
        results = [None if t is None else self.room(t.shape, t.dtype) for t in node.outputs]
        self.steps.append(Call(node.target, args, keywords, results))
        self._touch([*used, *(r for r in results if r is not None)])
        return results if node.several else results[0]

    # ---- memory ----

    def _input(self, tracked: Tracked, slot: int | None) -> Ref:
        storage = self._storage(tracked.dtype, max(math.prod(tracked.shape), 1), slot)
        ref = Ref(storage, tracked.shape, contiguous(tracked.shape))
        self.inputs.append(ref)
        return ref

    def _storage(self, dtype: torch.dtype, size: int, slot: int | None = None) -> Storage:
        if dtype not in C_TYPES:
            raise NotImplementedError(f"compiled programs know no tensors of {dtype}")
        if slot is not None and slot in self._arguments:
            return self._arguments[slot]
        storage = Storage(f"b{len(self.storages)}", dtype, size, slot, self._clock, self._clock)
        self.storages.append(storage)
        if slot is not None:
            self._arguments[slot] = storage
        return storage

    def _touch(self, used: Sequence[Any]) -> list[Storage]:
        storages = [ref.storage for ref, _ in leaves(used)]
        for storage in storages:
            storage.last = self._clock
        return storages

    # ---- results ----

    def _store(self, values: Sequence[Any], results: Sequence[int]) -> None:
        """Write the outputs: those of many elements first, in as few loops as there are shapes."""
        final: dict[Shape, list[tuple[Ref, Value]]] = {}
        places = [self._place(value, slot) for value, slot in zip(values, results, strict=True)]
        taken = {place.storage for place in places}
        for value, place in zip(values, places, strict=True):
            # A place may be an input that others still read.
            own = value if _is_in_step(value, place, taken) else self.ref(_copied(value))
            if not (isinstance(own, Ref) and self._bound(own, place)):
                final.setdefault(own.shape, []).append((place, own))
        for shape in sorted(final, key=lambda shape: -math.prod(shape)):
            stores = final[shape]
            used = [value for _, value in stores] + [place for place, _ in stores]
            self.emit(nests.elementwise(shape, stores), used)

    def _place(self, value: Value, slot: int) -> Ref:
        storage = self._storage(value.dtype, max(math.prod(value.shape), 1), slot)
        return Ref(storage, value.shape, contiguous(value.shape))

    def _bound(self, value: Ref, place: Ref) -> bool:
        """Let a result be computed right where it belongs, if nothing else lies there."""
        inputs = {ref.storage for ref in self.inputs}
        is_fresh = value.storage.slot is None and value.storage not in inputs
        if not (is_fresh and place.storage not in inputs and value.is_whole):
            return False
        value.storage.slot = place.storage.slot
        self.storages.remove(place.storage)
        return True


def is_heavy(value: Value | str) -> bool:
    """Return whether a value costs much more than a multiplication for each element."""
    if not isinstance(value, Formula) or value.kept is not None:
        return False
    return value.heavy or any(is_heavy(argument) for argument in value.arguments)


def _reads(value: Formula, storage: Storage) -> bool:
    return any(ref.storage is storage for ref, _ in leaves([value])) and value.kept is None


def _is_in_step(value: Value, place: Ref, taken: set[Storage]) -> bool:
    """Return whether all that a value reads of the places, it reads in the order of its elements.

    Then it may be written in the same loop as they are.
    """
    if isinstance(value, Ref):
        return value.storage not in taken or value.storage is place.storage
    for ref, shape in leaves([value]):
        is_early = math.prod(ref.shape) == 1 < math.prod(place.shape)  # read before the loop
        is_alike = ref.is_whole and shape == place.shape == ref.shape
        if ref.storage in taken and not (is_early or is_alike):
            return False
    return True


def _copied(value: Value) -> Formula:
    if isinstance(value, Formula):
        return value
    return Formula("{0}", [value], nests.local_type(value.dtype), value.shape, value.dtype)


def _mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Return a tree with ``function`` of every value in it."""
    if isinstance(tree, Ref | Formula):
        return function(tree)
    if isinstance(tree, dict):
        return {key: _mapped(value, function) for key, value in tree.items()}
    return [_mapped(v, function) for v in tree] if isinstance(tree, list | tuple) else tree
