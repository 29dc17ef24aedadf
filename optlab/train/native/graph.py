"""A function of tensors as a list of PyTorch's operations, recorded while it runs once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from optlab.compiler import NotCompiled
from optlab.nn.native import spelled_out
from optlab.nn.operation import known_operations, operation_named
from optlab.train.native.composites import COMPOSITES

#: Our own operations that are recorded as what they compute, where PyTorch's operations do it well;
#: the kernels of the others are better than what would be made of them.
_SPELLED_OUT = ("batch_norm", "layer_norm", "dropout")

#: Operations that ask for the value of a tensor.
_LOOKS = {"_local_scalar_dense", "item", "equal", "is_nonzero"}


@dataclass(eq=False)
class Tracked:
    """A tensor of the graph.

    Attributes:
        shape, dtype: Of it.
        users: Operations that take it, and outputs that it is.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    users: int = 0


@dataclass(eq=False)
class Node:
    """An operation.

    Attributes:
        target: The operator.
        name: Its name, without the underscore of one that writes into its first argument.
        arguments, keywords: With `Tracked` in place of tensors.
        outputs: Its results; None where there is no tensor.
        several: Whether it returns a list or tuple.
        writes: Whether it changes its first argument.
    """

    target: Any
    name: str
    arguments: list[Any]
    keywords: dict[str, Any]
    outputs: list[Tracked | None]
    several: bool = False
    writes: bool = False

    @property
    def output(self) -> Tracked:
        """The only result."""
        assert self.outputs[0] is not None
        return self.outputs[0]


@dataclass
class Graph:
    """What a function computes.

    Attributes:
        inputs: Its arguments.
        nodes: Operations in their order.
        outputs: Its results.
        constants: Tensors of its own.
    """

    inputs: list[Tracked] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Tracked] = field(default_factory=list)
    constants: dict[Tracked, Tensor] = field(default_factory=dict)


def graph_of(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> Graph:
    """Return what ``function(*inputs)`` computes.

    Args:
        function: Returns tensors; may take gradients, and write into tensors of its own.
        inputs: Tensors of the shapes, dtypes and strides to come.

    Raises:
        NotCompiled: When it asks for the value of a tensor, or draws from a global generator, which
            runs would share.
    """
    recorder = _Recorder(inputs)
    with torch.no_grad(), spelled_out(), recorder:
        outputs = list(function(*inputs))
    graph = recorder.graph
    graph.outputs = [recorder.tracked(tensor) for tensor in outputs]
    _drop_unused(graph)
    return graph


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = Graph()
        # Tensors are kept alive: the id or the memory of one that is gone could become another's.
        self._alive: list[Tensor] = []
        self._by_id: dict[int, Tracked] = {}
        self._by_place: dict[Any, Tracked] = {}
        self._instead = _instead()
        self.graph.inputs = [self._new(tensor) for tensor in inputs]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare runs without torch.compile its import, which takes a second."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        keywords = kwargs or {}
        name = func.overloadpacket.__name__
        if name in _LOOKS:
            raise NotCompiled("it asks for the value of a tensor (an `if` on one, .item())")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise NotCompiled(f"{func} draws from a global generator, which runs would share")
        if func in self._instead:
            with self:
                return self._instead[func](*args, **keywords)
        result = func(*args, **keywords)
        self._take(func, name, list(args), keywords, result)
        return result

    def _take(self, func: Any, name: str, args: Any, keywords: Any, result: Any) -> None:
        writes = bool(func._schema.is_mutable)
        if writes and (not name.endswith("_") or result is not args[0]):
            raise NotCompiled(f"{func} writes into one of several arguments")
        arguments, words = self._resolved(args), self._resolved(keywords)
        several = isinstance(result, list | tuple)
        outputs = [
            None if not isinstance(tensor, Tensor) else self._known(tensor) or self._new(tensor)
            for tensor in (result if several else [result])
        ]
        if writes:
            name = name[:-1]
        self.graph.nodes.append(Node(func, name, arguments, words, outputs, several, writes))

    def tracked(self, tensor: Tensor) -> Tracked:
        """Return what stands for a tensor; one that no operation gave is a constant."""
        found = self._known(tensor)
        if found is None:
            found = self._new(tensor)
            self.graph.constants[found] = tensor.detach()
        return found

    def _resolved(self, tree: Any) -> Any:
        if isinstance(tree, Tensor):
            return self.tracked(tree)
        if isinstance(tree, list | tuple):
            return [self._resolved(value) for value in tree]
        if isinstance(tree, dict):
            return {key: self._resolved(value) for key, value in tree.items()}
        return tree

    def _known(self, tensor: Tensor) -> Tracked | None:
        found = self._by_id.get(id(tensor))
        # Autograd shows its own objects for a memory that is known.
        return self._by_place.get(_place(tensor)) if found is None else found

    def _new(self, tensor: Tensor) -> Tracked:
        made = Tracked(tuple(tensor.shape), tensor.dtype)
        self._alive.append(tensor)
        self._by_id[id(tensor)] = made
        place = _place(tensor)
        if place is not None:
            self._by_place[place] = made
        return made


def _place(tensor: Tensor) -> Any:
    """Return what two tensors of the same memory, seen in the same way, have in common."""
    if tensor.numel() == 0 or tensor._is_zerotensor():
        return None
    geometry = (tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype)
    return tensor.untyped_storage().data_ptr(), geometry


def _drop_unused(graph: Graph) -> None:
    """Leave out operations that nobody needs, and count the users of what is left."""
    needed = set(graph.outputs)
    for tracked in graph.outputs:
        tracked.users += 1
    kept = []
    for node in reversed(graph.nodes):
        if node.writes or needed.intersection(o for o in node.outputs if o is not None):
            kept.append(node)
            for tracked in _tensors([node.arguments, node.keywords]):
                tracked.users += 1
                needed.add(tracked)
    graph.nodes = kept[::-1]


def _tensors(tree: Any) -> list[Tracked]:
    if isinstance(tree, Tracked):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [t for value in tree for t in _tensors(value)] if isinstance(tree, list) else []


def _instead() -> dict[Any, Callable[..., Any]]:
    """Return what stands for composite operations and for some of our own."""
    found: dict[Any, Callable[..., Any]] = dict(COMPOSITES)
    for name in _SPELLED_OUT:
        if name in known_operations():
            for operator, function in operation_named(name).implementations.items():
                found[getattr(torch.ops.optlab, operator).default] = function
    return found
