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
from optlab.train.native.refusals import Guard, refuse

#: Our own operations that are recorded as what they compute, where PyTorch's operations do it well;
#: the kernels of the others are better than what would be made of them.
_SPELLED_OUT = ("batch_norm", "layer_norm", "dropout")


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
        shows: Whether its results lie in the memory of its first argument.
    """

    target: Any
    name: str
    arguments: list[Any]
    keywords: dict[str, Any]
    outputs: list[Tracked | None]
    several: bool = False
    writes: bool = False
    shows: bool = False

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
        written: Tensors into whose memory an operation writes.
    """

    inputs: list[Tracked] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Tracked] = field(default_factory=list)
    constants: dict[Tracked, Tensor] = field(default_factory=dict)
    written: set[Tracked] = field(default_factory=set)


def graph_of(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> Graph:
    """Return what ``function(*inputs)`` computes.

    Args:
        function: Returns tensors; may take gradients, and write into tensors of its own.
        inputs: Tensors of the shapes, dtypes and strides to come.

    Raises:
        NotCompiled: When it asks for the value of a tensor, or draws from a global generator, which
            runs would share, or fails.
    """
    recorder = _Recorder(inputs)
    try:
        with torch.no_grad(), spelled_out(), Guard(), recorder:
            outputs = list(function(*inputs))
    except NotCompiled:
        raise
    except Exception as error:  # of a user's own code; ours comes after
        raise NotCompiled(f"{type(error).__name__}: {error}") from error
    graph = recorder.graph
    graph.outputs = [recorder.tracked(tensor) for tensor in outputs]
    graph.written = _written(graph.nodes)
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
        refuse(func, name, args, keywords)
        with self:
            if func in self._instead:
                return self._instead[func](*args, **keywords)
            parts = func.decompose(*args, **keywords)  # of what autograd has not taken apart before
        if parts is not NotImplemented:
            return parts
        result = func(*args, **keywords)
        self._take(func, name, list(args), keywords, result)
        return result

    def _take(self, func: Any, name: str, args: Any, keywords: Any, result: Any) -> None:
        turns = torch.Tag.inplace_view in func.tags  # shape and strides, and no number
        writes = func._schema.is_mutable and not turns
        if writes and (not name.endswith("_") or result is not args[0]):
            raise NotCompiled(f"{func} writes into one of several arguments")
        arguments, words = self._resolved(args), self._resolved(keywords)
        several = isinstance(result, list | tuple)
        outputs = [
            self._output(tensor, turns) if isinstance(tensor, Tensor) else None
            for tensor in (result if several else [result])
        ]
        if writes or turns:
            name = name[:-1]
        shows = any(r.alias_info is not None for r in func._schema.returns) and not writes
        node = Node(func, name, arguments, words, outputs, several, writes, shows)
        self.graph.nodes.append(node)

    def _output(self, tensor: Tensor, is_new: bool) -> Tracked:
        found = None if is_new else self._known(tensor)
        return self._new(tensor) if found is None else found

    def tracked(self, tensor: Tensor) -> Tracked:
        """Return what stands for a tensor; one that no operation gave is a constant."""
        found = self._known(tensor)
        if found is None:
            found = self._new(tensor)
            self.graph.constants[found] = tensor.detach().clone()
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


def _written(nodes: Sequence[Node]) -> set[Tracked]:
    """Return the tensors that share memory with one that is written into."""
    owner: dict[Tracked, Tracked] = {}
    roots = set()
    for node in nodes:
        first = node.arguments[0] if node.arguments else None
        if isinstance(first, Tracked) and (node.shows or node.writes):
            root = owner.setdefault(first, first)
            owner |= {o: root for o in node.outputs if o is not None}
            if node.writes:
                roots.add(root)
    return {tracked for tracked, root in owner.items() if root in roots}


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
