"""Loops in C over the elements of tensors, and the formulas inside them."""

from collections.abc import Sequence

import torch

from optlab.compiler import NotCompiled
from optlab.train.native.values import C_TYPES, Formula, Ref, Shape, Value


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
            at = self.name(formula.arguments[0])
            where = f"{self.address(formula.table)} + {at} * (int64_t){formula.step}"
            # Nothing is read outside of the table: a run with such data diverges.
            outside = "NAN" if formula.dtype.is_floating_point else "0"
            found = f"{formula.table.storage.name}[{where}]"
            text = f"(uint64_t){at} < {formula.length} ? {found} : {outside}"
        else:
            operands = [f"(({formula.operand}){self.name(a)})" for a in formula.arguments]
            suffix = "f" if formula.operand == "float" else ""
            text = formula.form.format(*operands, f=suffix, type=formula.operand)
        return f"const {kind} {self.name(formula)} = ({exact_type(formula.dtype)})({text});"


def local_type(dtype: torch.dtype) -> str:
    """Return the C type of a variable that holds a value."""
    return "int32_t" if dtype in (torch.bool, torch.uint8) else exact_type(dtype)


def exact_type(dtype: torch.dtype) -> str:
    """Return the C type that a conversion to ``dtype`` goes through."""
    if dtype not in C_TYPES:
        raise NotCompiled(f"compiled programs know no tensors of {dtype}")
    return "_Bool" if dtype == torch.bool else C_TYPES[dtype]


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
