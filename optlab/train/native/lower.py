"""From a graph of PyTorch's operations to statements in C, and calls between them.

Elementwise operations are not computed where they stand but where their result is needed, inside
the loops of whoever needs it. Views cost nothing. What nothing is registered for in `HANDLERS` is
done by PyTorch between two stretches of C (`optlab.train.native.values.Call`).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch

from optlab.compiler import NotCompiled
from optlab.train.native import nests, outputs
from optlab.train.native.forms import literal
from optlab.train.native.graph import Graph, Node, Tracked
from optlab.train.native.memory import Memory
from optlab.train.native.values import Call, Formula, Part, Ref, Storage, Value, is_heavy, reads

#: ``(lowering, node, *arguments, **keywords) -> value``, or None for what PyTorch has to do; by the
#: names of PyTorch's operations.
HANDLERS: dict[str, Callable[..., Any]] = {}

#: Formulas within formulas, above which one is computed before the next: loops stay readable for
#: compilers, and walks over them short.
DEEPEST = 64

H = TypeVar("H", bound=Callable[..., Any])


def lowers(*names: str) -> Callable[[H], H]:
    """Register what lowers operations."""

    def register(handler: H) -> H:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


class Lowering(Memory):
    """The statements of one graph.

    Args:
        graph: What to compute.
        slots: For each input the number of the argument, or None where it lies in the room to
            work in, from the first statement to the last.
        results: For each output the number of the argument it is written to.
        constants: Number of the first argument for tensors that the graph holds itself.

    Attributes:
        steps: Stretches of C and calls, in order.
    """

    def __init__(
        self,
        graph: Graph,
        slots: Sequence[int | None],
        results: Sequence[int],
        constants: int,
    ) -> None:
        super().__init__(constants)
        self.steps: list[Part | Call] = [Part()]
        self._values: dict[Tracked, Any] = {}
        self._uses: defaultdict[Tracked, int] = defaultdict(int)  # still to come
        self._results = set(results)
        self._split: set[Storage] = set()
        self._written = graph.written
        for tracked, slot in zip(graph.inputs, slots, strict=True):
            self._values[tracked] = self.input(tracked, slot)
        for tracked, tensor in graph.constants.items():
            self._values[tracked] = self.constant(tensor)
        for node in graph.nodes:
            self._uses |= {t: t.users for t in node.outputs if t is not None and not node.writes}
            self._take(node)
        outputs.store(self, [self._values[tracked] for tracked in graph.outputs], results)
        for ref in self.inputs:
            if ref.storage.slot is None:
                ref.storage.born, ref.storage.last = 0, self.clock + 1

    # ---- what handlers use ----

    def emit(self, lines: Sequence[str], used: Sequence[Value]) -> None:
        """Add statements that read or write ``used``."""
        self.clock += 1
        if not isinstance(self.steps[-1], Part):
            self.steps.append(Part())
        part = self.steps[-1]
        assert isinstance(part, Part)
        part.lines += lines
        part.storages |= dict.fromkeys(self.touch(used))

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

    def is_written(self, tracked: Tracked) -> bool:
        """Return whether something writes into this tensor, or into what shares its memory."""
        return tracked in self._written

    def in_order(self, ref: Ref) -> Ref:
        """Return a copy that lies in order; neither may be written into from now on."""
        copy = self.room(ref.shape, ref.dtype)
        self.write(copy, ref)
        self._split |= {ref.storage, copy.storage}
        return copy

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
        kind = nests.exact_type(operand)
        value = Formula(form, ready, kind, output.shape, output.dtype, heavy, users=output.users)
        value.depth = 1 + max((a.depth for a in ready if isinstance(a, Formula)), default=0)
        return self.ref(value) if (size == 1 and ready) or value.depth > DEEPEST else value

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
                result = self._call(_without_writing(node), args, keywords)
            to = self.ref(args[0])
            self._refuse_to_write(node, to.storage)
            self._overwrite(to, result)
            return
        if result is None:
            result = self._call(node, args, keywords)
        several = result if node.several else [result]
        self._values |= {t: v for t, v in zip(node.outputs, several, strict=True) if t is not None}

    def _resolved(self, argument: Any) -> Any:
        if isinstance(argument, Tracked):
            self._uses[argument] -= 1
            return self._values[argument]
        if isinstance(argument, list):
            return [self._resolved(a) for a in argument]
        return argument

    def _refuse_to_write(self, node: Node, storage: Storage) -> None:
        is_foreign = storage.slot is not None and storage.slot not in self._results
        if is_foreign or storage in self._split:
            what = "a tensor that is not its own" if is_foreign else "one of two copies of a tensor"
            raise NotCompiled(f"{node.target} writes into {what}")

    def _overwrite(self, to: Ref, value: Value) -> None:
        """Write into a tensor; what is still to be computed from its old numbers is computed."""
        for tracked, other in self._values.items():
            is_awaited = self._uses[tracked] > 0
            if is_awaited and isinstance(other, Formula) and reads(other, to.storage):
                self.ref(other)
        own = Ref(to.storage, value.shape, to.over(value.shape), to.offset)
        in_step = outputs.is_in_step(value, own, {to.storage: own})
        self.write(own, value if in_step else self.ref(outputs.copied(value)))

    def _call(self, node: Node, args: list[Any], keywords: dict[str, Any]) -> Any:
        """Leave an operation to PyTorch."""
        if node.shows:
            raise NotCompiled(f"{node.target} shows memory in a way that is not known")
        used: list[Ref] = []

        def placed(value: Value) -> Ref:
            used.append(self.ref(value))
            return used[-1]

        args, keywords = _mapped(args, placed), _mapped(keywords, placed)
        self.clock += 1
        results = [None if t is None else self.room(t.shape, t.dtype) for t in node.outputs]
        self.steps.append(Call(node.target, args, keywords, results))
        self.touch([*used, *(r for r in results if r is not None)])
        return results if node.several else results[0]


def _without_writing(node: Node) -> Node:
    """Return an operation that gives what another one writes."""
    packet, overload = getattr(torch.ops.aten, node.name, None), node.target._overloadname
    if node.target.namespace != "aten" or overload not in getattr(packet, "overloads", list)():
        raise NotCompiled(f"{node.target} writes where nothing compiled knows how to")
    return replace(node, target=getattr(packet, overload), writes=False)


def _mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Return a tree with ``function`` of every value in it."""
    if isinstance(tree, Ref | Formula):
        return function(tree)
    if isinstance(tree, dict):
        return {key: _mapped(value, function) for key, value in tree.items()}
    return [_mapped(v, function) for v in tree] if isinstance(tree, list | tuple) else tree
