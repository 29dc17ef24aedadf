"""From a graph of PyTorch's operations to statements in C, and calls between them.

Elementwise operations are not computed where they stand but where their result is needed, inside
the loops of whoever needs it. Views cost nothing. What has no form here is done by PyTorch between
two stretches of C (`optlab.train.native.values.Call`).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from optlab.train.native import nests
from optlab.train.native.forms import (
    COMPARISONS,
    HEAVY,
    PLAIN,
    WRAPPED,
    arithmetic,
    literal,
    power,
)
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

VIEWS = {
    *("t", "transpose", "permute", "view", "_unsafe_view", "unsqueeze", "squeeze", "expand"),
    *("slice", "select", "split", "split_with_sizes", "unbind", "reshape", "diagonal", "alias"),
    *("detach", "unfold", "as_strided", "squeeze_", "view_as"),
}
CONSTANTS = {
    "ones_like": 1,
    "zeros_like": 0,
    "zeros": 0,
    "ones": 1,
    "full": None,
    "full_like": None,
    "scalar_tensor": None,
}
SUMS = {"sum", "mean", "amax", "amin", "prod", "any", "all"}


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
        inputs: Where each input lies.
        held: Tensors that the graph holds, in the order of their arguments.
    """

    def __init__(
        self,
        graph: GraphModule,
        slots: Sequence[int | None],
        results: Sequence[int],
        constants: int,
    ) -> None:
        self.graph = graph
        self.steps: list[Part | Call] = [Part()]
        self.storages: list[Storage] = []
        self.inputs: list[Ref] = []
        self.held: list[Tensor] = []
        self._first_constant = constants
        self._arguments: dict[int, Storage] = {}
        self._values: dict[Node, Any] = {}
        self._clock = 0
        placeholders = iter(slots)
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                self._values[node] = self._input(node, next(placeholders))
            elif node.op == "get_attr":
                self._values[node] = self._constant(getattr(graph, node.target))
            elif node.op == "call_function":
                self._values[node] = self._operation(node)
            elif node.op == "output":
                self._store([self._values[n] for n in node.args[0]], results)
        for ref in self.inputs:
            if ref.storage.slot is None:
                ref.storage.born, ref.storage.last = 0, self._clock + 1

    # ---- memory ----

    def _input(self, node: Node, slot: int | None) -> Ref:
        fake: Tensor = node.meta["val"]
        storage = self._storage(fake.dtype, max(fake.numel(), 1), slot)
        ref = Ref(storage, tuple(fake.shape), contiguous(fake.shape))
        self.inputs.append(ref)
        return ref

    def _constant(self, tensor: Tensor) -> Ref:
        tensor = tensor.detach().contiguous()
        slot = self._first_constant + len(self.held)
        self.held.append(tensor)
        storage = self._storage(tensor.dtype, max(tensor.numel(), 1), slot)
        return Ref(storage, tuple(tensor.shape), contiguous(tensor.shape))

    def _storage(self, dtype: torch.dtype, size: int, slot: int | None = None) -> Storage:
        if dtype not in C_TYPES:
            raise NotImplementedError(f"tensors of {dtype}")
        if slot is not None and slot in self._arguments:
            return self._arguments[slot]
        storage = Storage(f"b{len(self.storages)}", dtype, size, slot, self._clock, self._clock)
        self.storages.append(storage)
        if slot is not None:
            self._arguments[slot] = storage
        return storage

    def _room(self, shape: Shape, dtype: torch.dtype) -> Ref:
        return Ref(self._storage(dtype, max(math.prod(shape), 1)), shape, contiguous(shape))

    def _emit(self, lines: Sequence[str], used: Sequence[Value]) -> None:
        """Add statements, and note until when what they use is needed."""
        self._clock += 1
        if not isinstance(self.steps[-1], Part):
            self.steps.append(Part())
        part = self.steps[-1]
        assert isinstance(part, Part)
        part.lines += lines
        part.storages |= dict.fromkeys(self._touch(used))

    def _touch(self, used: Sequence[Any]) -> list[Storage]:
        storages = [ref.storage for ref, _ in leaves(used)]
        for storage in storages:
            storage.last = self._clock
        return storages

    # ---- values ----

    def _ref(self, value: Value) -> Ref:
        """Return where a value lies; it is computed now if it does not lie anywhere."""
        if isinstance(value, Ref):
            return value
        if value.kept is None:
            to = self._room(value.shape, value.dtype)
            self._emit(nests.elementwise(value.shape, [(to, value)]), [value, to])
            value.kept = to
        return value.kept

    def _ready(self, value: Any) -> Any:
        """Return a value for use in a loop that may ask for each element more than once."""
        if (
            isinstance(value, Formula)
            and value.kept is None
            and value.users > 1
            and _is_heavy(value)
        ):
            return self._ref(value)
        return value

    def _formula(
        self,
        node: Node,
        form: str,
        arguments: Sequence[Any],
        operand: torch.dtype,
        heavy: bool = False,
    ) -> Value:
        fake: Tensor = node.meta["val"]
        shape = tuple(fake.shape)
        size = math.prod(shape)
        ready: list[Any] = []
        for argument in arguments:
            if isinstance(argument, Formula) and math.prod(argument.shape) < size:
                argument = argument if not argument.arguments else self._ref(argument)
            ready.append(literal(argument) if isinstance(argument, int | float) else argument)
        kind = nests.local_type(operand)
        value = Formula(form, ready, kind, shape, fake.dtype, heavy, users=len(node.users))
        return self._ref(value) if size == 1 and ready else value

    # ---- operations ----

    def _operation(self, node: Node) -> Any:
        target: Any = node.target
        name = getattr(target, "overloadpacket", target).__name__
        args = [self._resolve(a) for a in node.args]
        if name == "getitem":
            return args[0][node.args[1]]
        if getattr(target, "namespace", "aten") == "aten":
            result = self._known(name, node, args)
            if result is not None:
                return result
        return self._call(node, args)

    def _resolve(self, argument: Any) -> Any:
        if isinstance(argument, Node):
            return self._values[argument]
        if isinstance(argument, list | tuple):
            return [self._resolve(a) for a in argument]
        return argument

    def _known(self, name: str, node: Node, args: list[Any]) -> Any:
        if name in CONSTANTS:
            return self._filled(name, node)
        if name in VIEWS:
            return self._view(node, args)
        if name in SUMS:
            return self._reduced(name, node, args)
        method: Callable[..., Any] | None = getattr(self, f"_do_{name}", None)
        if method is not None:
            return method(node, *args, **node.kwargs)
        return self._pointwise(name, node, args)

    def _pointwise(self, name: str, node: Node, args: list[Any]) -> Value | None:
        if not isinstance(node.meta["val"], Tensor):
            return None
        operands = [a for a in args if isinstance(a, Ref | Formula | int | float)]
        if len(operands) != len([a for a in args if a is not None]):
            return None
        heavy = name in HEAVY
        form = HEAVY.get(name) or PLAIN.get(name) or arithmetic(name, node.kwargs)
        if form is None:
            return None
        meeting = _meeting_dtype(node)
        if name not in COMPARISONS and not meeting.is_floating_point:
            meeting = node.meta["val"].dtype
        if name in ("remainder", "floor", "div") and not meeting.is_floating_point:
            return None
        if meeting == torch.int64 and node.kwargs.get("alpha", 1) == 1:
            form = WRAPPED.get(name, form)
        if heavy and meeting not in (torch.float32, torch.float64):
            return None
        return self._formula(node, form, operands, meeting, heavy)

    def _do_pow(self, node: Node, base: Any, exponent: Any) -> Value | None:
        dtype: torch.dtype = node.meta["val"].dtype
        form = power(exponent, not dtype.is_floating_point)
        heavy = form.startswith("pow")
        if heavy and not dtype.is_floating_point:
            return None
        return self._formula(node, form, [base, exponent], dtype, heavy)

    def _do_where(self, node: Node, condition: Any, chosen: Any, other: Any) -> Value:
        # The condition goes through the type of the values: 0 and 1 are exact in all of them.
        dtype = node.meta["val"].dtype
        return self._formula(node, "{0} != 0 ? {1} : {2}", [condition, chosen, other], dtype)

    def _do_clamp(self, node: Node, x: Any, min: Any = None, max: Any = None) -> Value:
        form, operands = "{0}", [x]
        if min is not None:
            operands.append(min)
            form = "({0} < {1} ? {1} : {0})"
        if max is not None:
            operands.append(max)
            last = f"{{{len(operands) - 1}}}"
            form = f"({form} > {last} ? {last} : {form})"
        return self._formula(node, form, operands, node.meta["val"].dtype)

    def _do_clamp_min(self, node: Node, x: Any, min: Any) -> Value:
        return self._do_clamp(node, x, min)

    def _do_clamp_max(self, node: Node, x: Any, max: Any) -> Value:
        return self._do_clamp(node, x, None, max)

    def _do_abs(self, node: Node, x: Any) -> Value:
        return self._formula(node, "{0} < 0 ? -{0} : {0}", [x], node.meta["val"].dtype)

    def _do_bitwise_not(self, node: Node, x: Any) -> Value | None:
        dtype = node.meta["val"].dtype
        return self._formula(node, "!{0}" if dtype == torch.bool else "~{0}", [x], dtype)

    def _filled(self, name: str, node: Node) -> Formula:
        fixed = CONSTANTS[name]
        numbers = [a for a in node.args if isinstance(a, int | float)]
        number = fixed if fixed is not None else numbers[-1]
        fake = node.meta["val"]
        kind = nests.local_type(fake.dtype)
        return Formula(f"({kind}){literal(number)}", [], kind, tuple(fake.shape), fake.dtype)

    def _do_arange(self, node: Node, *bounds: Any, **_: Any) -> Ref:
        start = bounds[0] if len(bounds) > 1 else 0
        step = bounds[2] if len(bounds) > 2 else 1
        return self._constant(
            torch.arange(start, bounds[0] if len(bounds) == 1 else bounds[1], step).to(
                node.meta["val"].dtype
            )
        )

    def _do_arange_start(self, node: Node, *bounds: Any, **_: Any) -> Ref:
        return self._do_arange(node, *bounds)

    # ---- views ----

    def _view(self, node: Node, args: list[Any]) -> Any:
        value, *rest = args
        if isinstance(value, Formula) and not value.arguments and value.kept is None:
            shown = node.meta["val"]
            if isinstance(shown, Tensor):
                return Formula(value.form, [], value.operand, tuple(shown.shape), value.dtype)
        ref = self._ref(value)
        try:
            return _viewed(node.target, ref, rest, node.kwargs)
        except RuntimeError:  # such a view of such strides does not exist: lay it in order first
            copy = self._room(ref.shape, ref.dtype)
            self._emit(nests.elementwise(ref.shape, [(copy, ref)]), [ref, copy])
            return _viewed(node.target, copy, rest, node.kwargs)

    # ---- reductions ----

    def _reduced(self, name: str, node: Node, args: list[Any]) -> Ref | None:
        value, *rest = args
        fake: Tensor = node.meta["val"]
        if not isinstance(fake, Tensor) or (name in ("any", "all") and fake.dtype != torch.bool):
            return None
        axes = rest[0] if rest and rest[0] not in (None, []) else range(len(value.shape))
        axes = [axes] if isinstance(axes, int) else axes
        axes = [axis % max(len(value.shape), 1) for axis in axes] if value.shape else []
        value = self._converted(value, fake.dtype)
        return self._reduce("sum" if name == "mean" else name, value, axes, node, name == "mean")

    def _reduce(
        self, kind: str, value: Value, axes: Sequence[int], node: Node, mean: bool = False
    ) -> Ref:
        fake: Tensor = node.meta["val"]
        value = self._ready(value)
        kept = tuple(s for axis, s in enumerate(value.shape) if axis not in axes)
        to = self._room(kept, fake.dtype)
        self._emit(nests.reduction(kind, value, axes, to), [value, to])
        if mean:
            count = math.prod(value.shape[axis] for axis in axes)
            form = Formula(
                "{0} / {1}", [to, literal(count)], nests.local_type(fake.dtype), kept, fake.dtype
            )
            self._emit(nests.elementwise(kept, [(to, form)]), [to])
        return Ref(to.storage, tuple(fake.shape), contiguous(fake.shape))

    def _converted(self, value: Value, dtype: torch.dtype) -> Value:
        if value.dtype == dtype:
            return value
        return Formula("{0}", [value], nests.local_type(dtype), value.shape, dtype)

    def _do_linalg_vector_norm(
        self, node: Node, x: Any, order: Any = 2, dim: Any = None, *rest: Any, **_: Any
    ) -> Ref | None:
        if order != 2:
            return None
        dtype = node.meta["val"].dtype
        x = self._ready(self._converted(x, dtype))
        kind = nests.local_type(dtype)
        square = Formula("{0} * {0}", [x], kind, x.shape, dtype)
        axes = range(len(x.shape)) if dim is None else [dim] if isinstance(dim, int) else dim
        total = self._reduce("sum", square, [a % len(x.shape) for a in axes], node)
        suffix = "f" if kind == "float" else ""
        root = Formula(f"sqrt{suffix}({{0}})", [total], kind, total.shape, dtype)
        self._emit(nests.elementwise(total.shape, [(total, root)]), [total])
        return total

    def _do_argmax(self, node: Node, x: Any, dim: Any = None, keepdim: bool = False) -> Ref | None:
        if dim is None:
            return None
        value = self._ready(x)
        axis = dim % len(x.shape)
        to = self._room(tuple(s for a, s in enumerate(x.shape) if a != axis), torch.int64)
        self._emit(nests.position_of_largest(value, axis, to), [value, to])
        shape = tuple(node.meta["val"].shape)
        return Ref(to.storage, shape, contiguous(shape))

    # ---- lookups and joins ----

    def _do_gather(self, node: Node, table: Any, dim: int, index: Any, **_: Any) -> Value:
        source = self._ref(table)
        axis = dim % len(source.shape)
        shape = tuple(node.meta["val"].shape)
        strides = tuple(0 if a == axis else s for a, s in enumerate(source.strides))
        along = Ref(source.storage, shape, strides, source.offset)
        step = source.strides[axis]
        value = Formula("", [index], "int64_t", shape, source.dtype, table=along, step=step)
        return self._ref(value)

    def _do_index_select(self, node: Node, table: Any, dim: int, index: Any) -> Value:
        shape = tuple(node.meta["val"].shape)
        axis = dim % len(shape)
        at = self._ref(index)
        strides = tuple(at.strides[0] if a == axis else 0 for a in range(len(shape)))
        spread = Ref(at.storage, shape, strides, at.offset)
        return self._do_gather(node, table, axis, spread)

    def _do_scatter_add(self, node: Node, base: Any, dim: int, index: Any, source: Any) -> Ref:
        """Add values to a copy of ``base`` at given places along an axis."""
        to = self._room(base.shape, base.dtype)
        self._emit(nests.elementwise(base.shape, [(to, base)]), [base, to])
        at = self._ref(index)
        shape = at.shape
        axis = dim % len(shape)
        value = (
            source if isinstance(source, Formula) and not source.arguments else self._ref(source)
        )
        if isinstance(value, Ref):
            value = Ref(value.storage, shape, value.strides, value.offset)
        strides = tuple(0 if a == axis else s for a, s in enumerate(to.strides))
        along = Ref(to.storage, shape, strides)
        nest = nests.Nest(shape, [at, value], [along])
        target = (
            f"{to.storage.name}[{nest.address(along)} + "
            f"{nest.name(at)} * (int64_t){to.strides[axis]}]"
        )
        loops = list(zip(nest.names(), (n for n, _ in nest.axes), strict=True))
        body = [*nest.body(), f"{target} += {nest.name(value)};"]
        self._emit(nests.block([*nest.constants(), *nests.looped(loops, body)]), [at, value, to])
        return to

    def _do_index_add(self, node: Node, base: Any, dim: int, index: Any, source: Any) -> Ref:
        values = self._ref(source)
        axis = dim % len(values.shape)
        at = self._ref(index)
        strides = tuple(at.strides[0] if a == axis else 0 for a in range(len(values.shape)))
        spread = Ref(at.storage, values.shape, strides, at.offset)
        return self._do_scatter_add(node, base, axis, spread, values)

    def _do_cat(self, node: Node, tensors: Any, dim: int = 0) -> Ref:
        fake: Tensor = node.meta["val"]
        to = self._room(tuple(fake.shape), fake.dtype)
        axis, start = dim % fake.ndim, 0
        for part in tensors:
            if part.shape == (0,):
                continue
            place = Ref(to.storage, part.shape, to.strides, start * to.strides[axis])
            self._emit(nests.elementwise(part.shape, [(place, part)]), [part, to])
            start += part.shape[axis]
        return to

    def _do_stack(self, node: Node, tensors: Any, dim: int = 0) -> Ref:
        fake: Tensor = node.meta["val"]
        to = self._room(tuple(fake.shape), fake.dtype)
        axis = dim % fake.ndim
        strides = tuple(s for a, s in enumerate(to.strides) if a != axis)
        for i, part in enumerate(tensors):
            place = Ref(to.storage, part.shape, strides, i * to.strides[axis])
            self._emit(nests.elementwise(part.shape, [(place, part)]), [part, to])
        return to

    def _do_slice_scatter(
        self,
        node: Node,
        base: Any,
        source: Any,
        dim: int = 0,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
    ) -> Ref:
        return self._scattered(base, source, torch.ops.aten.slice.Tensor, [dim, start, end, step])

    def _do_select_scatter(self, node: Node, base: Any, source: Any, dim: int, index: int) -> Ref:
        return self._scattered(base, source, torch.ops.aten.select.int, [dim, index])

    def _scattered(self, base: Any, source: Any, view: Any, rest: list[Any]) -> Ref:
        to = self._room(base.shape, base.dtype)
        self._emit(nests.elementwise(base.shape, [(to, base)]), [base, to])
        place: Ref = _viewed(view, to, rest, {})
        self._emit(nests.elementwise(place.shape, [(place, source)]), [source, to])
        return to

    def _do_constant_pad_nd(self, node: Node, x: Any, pad: Any, value: Any = 0) -> Ref | None:
        if any(width < 0 for width in pad):
            return None
        fake: Tensor = node.meta["val"]
        shape = tuple(fake.shape)
        to = self._room(shape, fake.dtype)
        kind = nests.local_type(fake.dtype)
        filled = Formula(f"({kind}){literal(value)}", [], kind, shape, fake.dtype)
        self._emit(nests.elementwise(shape, [(to, filled)]), [to])
        offset = sum(width * to.strides[len(shape) - 1 - i] for i, width in enumerate(pad[::2]))
        place = Ref(to.storage, x.shape, to.strides, offset)
        self._emit(nests.elementwise(x.shape, [(place, x)]), [x, to])
        return to

    # ---- products of matrices ----

    def _do_mm(self, node: Node, a: Any, b: Any) -> Ref | None:
        fake: Tensor = node.meta["val"]
        if fake.dtype not in (torch.float32, torch.float64):
            return None
        left, right = self._ref(a), self._ref(b)
        to = self._room(tuple(fake.shape), fake.dtype)
        self._emit([_product(left, right, to)], [left, right, to])
        return to

    def _do_bmm(self, node: Node, a: Any, b: Any) -> Ref | None:
        fake: Tensor = node.meta["val"]
        if fake.dtype not in (torch.float32, torch.float64):
            return None
        left, right = self._ref(a), self._ref(b)
        to = self._room(tuple(fake.shape), fake.dtype)
        steps = [f"{t.strides[0]} * i0" for t in (left, right, to)]
        body = _product(_inner(left), _inner(right), _inner(to), moves=steps)
        self._emit(nests.looped([("i0", fake.shape[0])], [body]), [left, right, to])
        return to

    # ---- calls and results ----

    def _call(self, node: Node, args: list[Any]) -> Any:
        """Leave an operation to PyTorch."""
        args = _mapped(args, self._ref)
        keywords = _mapped({k: self._resolve(v) for k, v in node.kwargs.items()}, self._ref)
        self._clock += 1
        used: list[Any] = []
        _mapped([args, keywords], lambda ref: used.append(ref))
        fakes = node.meta["val"]
        several = isinstance(fakes, list | tuple)
        results = [
            None if fake is None else self._room(tuple(fake.shape), fake.dtype)
            for fake in (fakes if several else [fakes])
        ]
        self.steps.append(Call(node.target, args, keywords, results))
        self._touch([*used, *(r for r in results if r is not None)])
        return results if several else results[0]

    def _store(self, values: Sequence[Any], results: Sequence[int]) -> None:
        """Write the outputs: those of many elements first, in as few loops as there are shapes."""
        final: dict[Shape, list[tuple[Ref, Value]]] = {}
        # A place may be an input that others still read: what is not of its shape is kept first.
        places = [self._place(value, slot) for value, slot in zip(values, results, strict=True)]
        taken = {place.storage: place for place in places}
        for value, place in zip(values, places, strict=True):
            if not _stays_in_step(value, place, taken):
                value = self._ref(_copied(value))
            if isinstance(value, Ref) and self._bound(value, place):
                continue
            final.setdefault(value.shape, []).append((place, value))
        order = sorted(final, key=lambda shape: -math.prod(shape))
        for shape in order:
            stores = final[shape]
            used = [value for _, value in stores] + [place for place, _ in stores]
            self._emit(nests.elementwise(shape, stores), used)

    def _place(self, value: Value, slot: int) -> Ref:
        storage = self._storage(value.dtype, max(math.prod(value.shape), 1), slot)
        return Ref(storage, value.shape, contiguous(value.shape))

    def _bound(self, value: Ref, place: Ref) -> bool:
        """Let a result be computed right where it belongs, if nothing else lies there."""
        storage = value.storage
        is_fresh = storage.slot is None and storage not in (r.storage for r in self.inputs)
        unused = place.storage not in (r.storage for r in self.inputs)
        if not (is_fresh and unused and value.is_whole):
            return False
        storage.slot = place.storage.slot
        self.storages.remove(place.storage)
        return True


def _stays_in_step(value: Value, place: Ref, taken: dict[Storage, Ref]) -> bool:
    """Return whether what a value reads of the places is read element by element, in their order.

    Then it may be written there in the same loop.
    """
    if isinstance(value, Ref):
        return value.storage not in taken or value.storage is place.storage
    for ref, shape in leaves([value]):
        if ref.storage in taken and not (ref.is_whole and shape == place.shape == ref.shape):
            if math.prod(ref.shape) == 1 and math.prod(place.shape) > 1:
                continue  # one number, read before the loop and written after all others
            return False
    return True


def _copied(value: Value) -> Formula:
    if isinstance(value, Formula):
        return value
    return Formula("{0}", [value], nests.local_type(value.dtype), value.shape, value.dtype)


def _is_heavy(value: Value | str) -> bool:
    if not isinstance(value, Formula) or value.kept is not None:
        return False
    return value.heavy or any(_is_heavy(a) for a in value.arguments)


def _meeting_dtype(node: Node) -> torch.dtype:
    """Return the type in which the operands of an elementwise operation meet."""
    tensors = [a.meta["val"] if isinstance(a, Node) else a for a in node.args]
    operands = [t for t in tensors if isinstance(t, Tensor | int | float)]
    meeting = operands[0].dtype if isinstance(operands[0], Tensor) else None
    for operand in operands[1:]:
        first = operands[0]
        meeting = torch.result_type(first, operand)
    result: torch.dtype = node.meta["val"].dtype
    return result if meeting is None or result != torch.bool else meeting


def _viewed(function: Any, ref: Ref, rest: list[Any], keywords: Any) -> Any:
    """Return what a view makes of a tensor's shape, strides and offset."""
    flat = torch.empty(ref.storage.size, dtype=torch.int8, device="meta")
    shown = function(flat.as_strided(ref.shape, ref.strides, ref.offset), *rest, **keywords)

    def of(tensor: Tensor) -> Ref:
        return Ref(ref.storage, tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()))

    return [of(t) for t in shown] if isinstance(shown, list | tuple) else of(shown)


def _inner(ref: Ref) -> Ref:
    return Ref(ref.storage, ref.shape[1:], ref.strides[1:], ref.offset)


def _product(left: Ref, right: Ref, to: Ref, moves: Sequence[str] = ("0", "0", "0")) -> str:
    kind = C_TYPES[to.dtype]
    sizes = (*left.shape, right.shape[1])
    a, b, c = (
        f"{t.storage.name} + {t.offset} + {move}"
        for t, move in zip((left, right, to), moves, strict=True)
    )
    (a_row, a_column), (b_row, b_column) = left.strides, right.strides
    return (
        f"with->product_{kind}({sizes[0]}, {sizes[2]}, {sizes[1]}, {a}, {a_row}, {a_column}, "
        f"{b}, {b_row}, {b_column}, {c}, {to.strides[0]});"
    )


def _mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Return a tree with ``function`` of every value in it."""
    if isinstance(tree, Ref | Formula):
        return function(tree)
    if isinstance(tree, dict):
        return {key: _mapped(value, function) for key, value in tree.items()}
    return [_mapped(v, function) for v in tree] if isinstance(tree, list | tuple) else tree
