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

    def loops(self) -> list[tuple[str, int]]:
        """Return the loops' variables and lengths, the outermost first."""
        return list(zip(self.names(), (length for length, _ in self.axes), strict=True))

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
            along = f"{self.name(formula.arguments[0])} * (int64_t){formula.step}"
            text = f"{formula.table.storage.name}[{self.address(formula.table)} + {along}]"
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
    inside = [*nest.body(), *writes]
    return block([*nest.constants(), *looped(nest.loops(), inside, vector=True)])


class Reduction:
    """A nest in which some axes end in one number.

    Args:
        value: What is reduced.
        axes: Which of its axes.
        to: Where the result goes: a whole storage with the axes that are left.
    """

    def __init__(self, value: Value, axes: Sequence[int], to: Ref) -> None:
        shape = value.shape
        groups = [int(axis in axes) for axis in range(len(shape))]
        kept = iter(to.strides)
        shown = Ref(to.storage, shape, tuple(0 if g else next(kept) for g in groups))
        self.nest = Nest(shape, [value], [shown], groups)
        self.loops = [
            (name, length, bool(groups[members[0]]))
            for name, (length, members) in zip(self.nest.names(), self.nest.axes, strict=True)
        ]
        self.value = self.nest.name(value)
        self.target = f"{to.storage.name}[{self.nest.address(shown)}]"

    def of(self, reduced: bool) -> list[tuple[str, int]]:
        """Return the loops that are reduced, or those that are kept."""
        return [(name, length) for name, length, flag in self.loops if flag is reduced]

    def outside(self, lines: Sequence[str]) -> list[str]:
        """Return statements inside the loops that are kept."""
        return block([*self.nest.constants(), *looped(self.of(False), lines)])


def reduction(kind: str, value: Value, axes: Sequence[int], to: Ref) -> list[str]:
    """Return the statements that reduce ``axes`` of a value; see `Reduction`.

    Args:
        kind: A name in `REDUCTIONS`.
        value: What is reduced.
        axes: Which of its axes.
        to: Where the result goes.
    """
    own = Reduction(value, axes, to)
    start, combine, operator = REDUCTIONS[kind]
    if own.loops and not own.loops[-1][2]:
        return _into_memory(own, start, combine)
    count = math.prod(value.shape[axis] for axis in axes)
    kind_of_sum = local_type(value.dtype)
    if kind_of_sum == "float" and kind == "sum" and count >= LONG_SUM:
        kind_of_sum = "double"
    take = combine.format(acc="acc", v=own.value)
    pragma = f"#pragma omp simd reduction({operator}:acc)" if operator else ""
    inner = looped(own.of(True), [*own.nest.body(), f"acc = {take};"], pragma=pragma)
    return own.outside([f"{kind_of_sum} acc = {start};", *inner, f"{own.target} = acc;"])


def _into_memory(own: Reduction, start: str, combine: str) -> list[str]:
    """Reduce outer axes row by row: the innermost loop runs along the result."""
    flags = [flag for _, _, flag in own.loops]
    first = flags.index(True) if True in flags else 0
    last = len(flags) - flags[::-1].index(True) if True in flags else 0
    pairs = [(name, length) for name, length, _ in own.loops]
    kept = [pair for pair, flag in zip(pairs[first:], flags[first:], strict=True) if not flag]
    between = [p for p, flag in zip(pairs[first:last], flags[first:last], strict=True) if not flag]
    clear = looped(kept, [f"{own.target} = {start};"], vector=True)
    take = combine.format(acc=own.target, v=own.value)
    rows = looped(pairs[last:], [*own.nest.body(), f"{own.target} = {take};"], vector=True)
    sums = looped([*between, *own.of(True)], rows)
    return block([*own.nest.constants(), *looped(pairs[:first], [*clear, *sums])])


def position_of_largest(value: Value, axis: int, to: Ref) -> list[str]:
    """Return the statements that find the first largest element (or NaN) along an axis."""
    own = Reduction(value, [axis], to)
    inner, v = own.of(True), own.value
    index = inner[0][0] if inner else "0"
    better = f"{v} > best || ({v} != {v} && best == best) || {index} == 0"
    take = [*own.nest.body(), f"if ({better}) {{ best = {v}; at = {index}; }}"]
    start = [f"{local_type(value.dtype)} best = 0;", "int64_t at = 0;"]
    return own.outside([*start, *looped(inner, take), f"{own.target} = at;"])


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
