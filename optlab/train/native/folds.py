"""Loops in C in which axes of a tensor end in one number: sums, extremes and their places."""

from collections.abc import Sequence

import torch

from optlab.train.native import nests
from optlab.train.native.values import Ref, Value

#: What a reduction starts from (or which end of its type), and how it takes in the next value.
REDUCTIONS = {
    "sum": ("0", "{acc} + {v}", "+"),
    "prod": ("1", "{acc} * {v}", "*"),
    "amax": ("least", "{v} > {acc} || {v} != {v} ? {v} : {acc}", None),
    "amin": ("most", "{v} < {acc} || {v} != {v} ? {v} : {acc}", None),
    "any": ("0", "{acc} || {v}", None),
    "all": ("1", "{acc} && {v}", None),
}


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
        self.nest = nests.Nest(shape, [value], [shown], groups)
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
        return nests.block([*self.nest.constants(), *nests.looped(self.of(False), lines)])


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
    start = _end_of(value.dtype, start)
    if own.loops and not own.loops[-1][2]:
        return _into_memory(own, start, combine)
    take = combine.format(acc="acc", v=own.value)
    pragma = f"#pragma omp simd reduction({operator}:acc)" if operator else ""
    inner = nests.looped(own.of(True), [*own.nest.body(), f"acc = {take};"], pragma=pragma)
    begin = f"{nests.local_type(value.dtype)} acc = {start};"
    return own.outside([begin, *inner, f"{own.target} = acc;"])


def _end_of(dtype: torch.dtype, end: str) -> str:
    """Return the least or the most of a type in C; anything else is left as it is."""
    if end not in ("least", "most"):
        return end
    if dtype.is_floating_point:
        return "-INFINITY" if end == "least" else "INFINITY"
    if dtype == torch.bool:
        return "0" if end == "least" else "1"
    limits = torch.iinfo(dtype)
    return f"({limits.min + 1}LL - 1)" if end == "least" else f"{limits.max}LL"


def _into_memory(own: Reduction, start: str, combine: str) -> list[str]:
    """Reduce outer axes row by row: the innermost loop runs along the result."""
    flags = [flag for _, _, flag in own.loops]
    first = flags.index(True) if True in flags else 0
    last = len(flags) - flags[::-1].index(True) if True in flags else 0
    pairs = [(name, length) for name, length, _ in own.loops]
    kept = [pair for pair, flag in zip(pairs[first:], flags[first:], strict=True) if not flag]
    between = [p for p, flag in zip(pairs[first:last], flags[first:last], strict=True) if not flag]
    clear = nests.looped(kept, [f"{own.target} = {start};"], vector=True)
    take = combine.format(acc=own.target, v=own.value)
    rows = nests.looped(pairs[last:], [*own.nest.body(), f"{own.target} = {take};"], vector=True)
    sums = nests.looped([*between, *own.of(True)], rows)
    return nests.block([*own.nest.constants(), *nests.looped(pairs[:first], [*clear, *sums])])


def position_of_largest(value: Value, axis: int, to: Ref) -> list[str]:
    """Return the statements that find the first largest element (or NaN) along an axis."""
    own = Reduction(value, [axis], to)
    inner, v = own.of(True), own.value
    index = inner[0][0] if inner else "0"
    better = f"{v} > best || ({v} != {v} && best == best) || {index} == 0"
    take = [*own.nest.body(), f"if ({better}) {{ best = {v}; at = {index}; }}"]
    start = [f"{nests.local_type(value.dtype)} best = 0;", "int64_t at = 0;"]
    return own.outside([*start, *nests.looped(inner, take), f"{own.target} = at;"])
