"""Loops in C: formulas over the elements of a tensor, and reductions of them."""

import math
from collections.abc import Sequence

import torch

from optlab.train.native.values import C_TYPES, Formula, Ref, Shape, Value

#: Elements of a sum from which it is taken in double.
LONG_SUM = 4096

#: What a reduction starts from, and how it takes in the next value.
REDUCTIONS = {
    "sum": ("0", "{acc} + {v}", "+"),
    "prod": ("1", "{acc} * {v}", "*"),
    "amax": ("-INFINITY", "{v} > {acc} || {v} != {v} ? {v} : {acc}", None),
    "amin": ("INFINITY", "{v} < {acc} || {v} != {v} ? {v} : {acc}", None),
    "any": ("0", "{acc} || {v}", None),
    "all": ("1", "{acc} && {v}", None),
}


class Nest:
    """The text of the statements inside loops over ``shape``.

    Args:
        shape: Of the loops.
        values: What is computed at each place.
        written: Tensors of that shape that are written there.
        groups: A mark per axis; axes with different marks are kept apart.
    """

    def __init__(
        self,
        shape: Shape,
        values: Sequence[Value | str],
        written: Sequence[Ref | None] = (),
        groups: Sequence[int] = (),
    ) -> None:
        self.shape = shape
        self.reads: dict[int, tuple[Ref, Shape]] = {}
        self.formulas: dict[int, Formula] = {}
        for value in values:
            self._collect(value)
        strides = [s for _, s in self.reads.values()]
        strides += [f.table.over(shape) for f in self.formulas.values() if f.table is not None]
        strides += [ref.over(shape) for ref in written if ref is not None]
        self.axes = merged(shape, strides, groups or (0,) * len(shape))

    def _collect(self, value: Value | str) -> None:
        if isinstance(value, Formula) and value.kept is not None:
            value = value.kept
        if isinstance(value, str) or id(value) in self.reads or id(value) in self.formulas:
            return
        if isinstance(value, Ref):
            self.reads[id(value)] = (value, value.over(self.shape))
            return
        for argument in value.arguments:
            self._collect(argument)
        self.formulas[id(value)] = value

    @property
    def storages(self) -> list[Ref]:
        """Tensors that are read, tables included."""
        tables = [f.table for f in self.formulas.values() if f.table is not None]
        return [*(ref for ref, _ in self.reads.values()), *tables]

    def address(self, ref: Ref) -> str:
        """Return where in its storage the present element of a tensor is."""
        strides = ref.over(self.shape)
        terms = [str(ref.offset)] if ref.offset else []
        for name, (_, members) in zip(self.names(), self.axes, strict=True):
            step = strides[members[-1]]
            if step:
                terms.append(name if step == 1 else f"{name} * {step}")
        return " + ".join(terms) or "0"

    def names(self) -> list[str]:
        """Return the loops' variables."""
        return [f"i{k}" for k in range(len(self.axes))]

    def constants(self) -> list[str]:
        """Return the statements that need no loop."""
        return [self._load(ref) for ref, s in self.reads.values() if not any(s)]

    def body(self) -> list[str]:
        """Return the statements of one element, after which each value has its `name`."""
        loads = [self._load(ref) for ref, s in self.reads.values() if any(s)]
        return [*loads, *(self._statement(formula) for formula in self.formulas.values())]

    def name(self, value: Value | str) -> str:
        """Return the C name of a value inside the loops."""
        if isinstance(value, str):
            return value
        if isinstance(value, Formula) and value.kept is not None:
            value = value.kept
        key = id(value)
        if key in self.reads:
            return f"r{list(self.reads).index(key)}"
        return f"f{list(self.formulas).index(key)}"

    def _load(self, ref: Ref) -> str:
        kind = local_type(ref.dtype)
        return f"const {kind} {self.name(ref)} = {ref.storage.name}[{self.address(ref)}];"

    def _statement(self, formula: Formula) -> str:
        kind = local_type(formula.dtype)
        if formula.table is not None:
            at = f"{self.address(formula.table)} + {self.name(formula.arguments[0])}"
            text = f"{formula.table.storage.name}[{at} * {formula.step}]"
            if formula.step != 1:
                at = f"{self.address(formula.table)} + {self.name(formula.arguments[0])}"
                at += f" * (int64_t){formula.step}"
                text = f"{formula.table.storage.name}[{at}]"
        else:
            operands = [f"(({formula.operand}){self.name(a)})" for a in formula.arguments]
            suffix = "f" if formula.operand == "float" else ""
            text = formula.form.format(*operands, f=suffix, type=formula.operand)
        return f"const {kind} {self.name(formula)} = ({kind})({text});"


def local_type(dtype: torch.dtype) -> str:
    """Return the C type in which a value is computed."""
    return "int32_t" if dtype in (torch.bool, torch.uint8) else C_TYPES[dtype]


def merged(
    shape: Shape, strides: Sequence[Shape], groups: Sequence[int]
) -> list[tuple[int, list[int]]]:
    """Return the loops that remain when neighbouring axes are run through as one.

    Returns:
        For each loop its length and the axes in it.
    """
    axes: list[tuple[int, list[int]]] = []
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        if axes:
            length, members = axes[-1]
            before = members[-1]
            joins = all(s[before] == s[axis] * size for s in strides)
            if joins and groups[before] == groups[axis]:
                axes[-1] = (length * size, [*members, axis])
                continue
        axes.append((size, [axis]))
    return axes


def elementwise(shape: Shape, stores: Sequence[tuple[Ref, Value]]) -> list[str]:
    """Return the statements that compute values of one shape and write each where it belongs."""
    nest = Nest(shape, [value for _, value in stores], [ref for ref, _ in stores])
    writes = [
        f"{ref.storage.name}[{nest.address(ref)}] = {nest.name(value)};" for ref, value in stores
    ]
    loops = list(zip(nest.names(), (length for length, _ in nest.axes), strict=True))
    return block([*nest.constants(), *looped(loops, [*nest.body(), *writes], vector=True)])


def reduction(kind: str, value: Value, axes: Sequence[int], to: Ref) -> list[str]:
    """Return the statements that reduce ``axes`` of a value.

    Args:
        kind: A name in `REDUCTIONS`.
        value: What is reduced.
        axes: Which of its axes.
        to: Where the result goes: a whole storage with the axes that are left.
    """
    shape = value.shape
    groups = [int(axis in axes) for axis in range(len(shape))]
    kept_axes = [axis for axis in range(len(shape)) if not groups[axis]]
    over: list[int] = [0] * len(shape)
    for axis, step in zip(kept_axes, to.strides, strict=True):
        over[axis] = step
    shown = Ref(to.storage, shape, tuple(over))
    nest = Nest(shape, [value], [shown], groups)
    loops = [
        (name, length, groups[members[0]])
        for name, (length, members) in zip(nest.names(), nest.axes, strict=True)
    ]
    target = f"{to.storage.name}[{_place(nest, shown)}]"
    start, combine, operator = REDUCTIONS[kind]
    if loops and not loops[-1][2]:
        return _into_memory(nest, loops, target, start, combine, value)
    count = math.prod(shape[axis] for axis in axes)
    narrow = local_type(value.dtype)
    wide = "double" if narrow == "float" and kind == "sum" and count >= LONG_SUM else narrow
    outer = [(n, length) for n, length, reduced in loops if not reduced]
    inner = [(n, length) for n, length, reduced in loops if reduced]
    take = combine.format(acc="acc", v=nest.name(value))
    pragma = f"#pragma omp simd reduction({operator}:acc)" if operator else ""
    sums = looped(inner, [*nest.body(), f"acc = {take};"], pragma=pragma)
    lines = [f"{wide} acc = {start};", *sums, f"{target} = acc;"]
    return block([*nest.constants(), *looped(outer, lines)])


def _into_memory(
    nest: Nest,
    loops: Sequence[tuple[str, int, int]],
    target: str,
    start: str,
    combine: str,
    value: Value,
) -> list[str]:
    """Reduce outer axes row by row: the innermost loop runs along the result."""
    first = next(i for i, loop in enumerate(loops) if loop[2]) if any(x[2] for x in loops) else 0
    last = max((i for i, loop in enumerate(loops) if loop[2]), default=-1)
    outer = [(n, length) for n, length, _ in loops[:first]]
    tail = [(n, length) for n, length, flag in loops[first:] if not flag]
    reduced = [(n, length) for n, length, flag in loops[first : last + 1] if flag]
    between = [(n, length) for n, length, flag in loops[first : last + 1] if not flag]
    trailing = [(n, length) for n, length, _ in loops[last + 1 :]]
    clear = looped(tail, [f"{target} = {start};"], vector=True)
    take = combine.format(acc=target, v=nest.name(value))
    inner = looped(trailing, [*nest.body(), f"{target} = {take};"], vector=True)
    return block(
        [*nest.constants(), *looped(outer, [*clear, *looped([*between, *reduced], inner)])]
    )


def _place(nest: Nest, ref: Ref) -> str:
    return nest.address(ref)


def position_of_largest(value: Value, axis: int, to: Ref) -> list[str]:
    """Return the statements that find the first largest element (or NaN) along an axis."""
    shape = value.shape
    groups = [int(a == axis) for a in range(len(shape))]
    over = [0] * len(shape)
    for a, step in zip((a for a in range(len(shape)) if a != axis), to.strides, strict=True):
        over[a] = step
    shown = Ref(to.storage, shape, tuple(over))
    nest = Nest(shape, [value], [shown], groups)
    loops = [
        (name, length, groups[members[0]])
        for name, (length, members) in zip(nest.names(), nest.axes, strict=True)
    ]
    outer = [(n, length) for n, length, flag in loops if not flag]
    inner = [(n, length) for n, length, flag in loops if flag]
    index = inner[0][0] if inner else "0"
    v, kind = nest.name(value), local_type(value.dtype)
    better = f"{v} > best || ({v} != {v} && best == best)"
    take = [*nest.body(), f"if ({better} || {index} == 0) {{ best = {v}; at = {index}; }}"]
    lines = [f"{kind} best = 0;", "int64_t at = 0;", *looped(inner, take)]
    lines.append(f"{to.storage.name}[{nest.address(shown)}] = at;")
    return block([*nest.constants(), *looped(outer, lines)])


def looped(
    loops: Sequence[tuple[str, int]],
    body: Sequence[str],
    vector: bool = False,
    pragma: str = "",
) -> list[str]:
    """Return ``body`` inside loops, the first outermost."""
    lines = list(body)
    for depth, (name, length) in enumerate(reversed(loops)):
        head = f"for (int64_t {name} = 0; {name} < {length}; {name}++) {{"
        hint = (
            pragma
            if depth == 0 and pragma
            else "#pragma GCC ivdep"
            if vector and depth == 0
            else ""
        )
        lines = [*([hint] if hint else []), head, *(f"    {line}" for line in lines), "}"]
    return lines


def block(lines: Sequence[str]) -> list[str]:
    """Return statements whose names are seen by nobody else."""
    return ["{", *(f"    {line}" for line in lines), "}"]
