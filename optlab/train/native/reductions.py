"""Sums, means, extremes and norms over axes, and products of matrices."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from optlab.train.native import folds, nests
from optlab.train.native.forms import literal
from optlab.train.native.graph import Node, Tracked
from optlab.train.native.lower import Lowering, lowers
from optlab.train.native.values import C_TYPES, Formula, Ref, Value, contiguous

#: Elements of a sum from which it is taken in double.
LONG_SUM = 4096


@lowers("sum", "mean", "amax", "amin", "prod", "any", "all")
def reduce(
    lowering: Lowering, node: Node, value: Any, dims: Any = None, *_: Any, **__: Any
) -> Ref | None:
    """Lower a reduction."""
    name = node.name
    made = node.output
    if name in ("any", "all") and made.dtype != torch.bool:
        return None
    axes = _axes(dims, value.shape)
    value = _converted(value, made.dtype)
    if name != "mean":
        return _reduced(lowering, name, value, axes, made)
    total = _reduced(lowering, "sum", value, axes, made)
    count = math.prod(value.shape[axis] for axis in axes)
    _change(lowering, total, f"{{0}} / {literal(count)}")
    return total


@lowers("linalg_vector_norm")
def norm(
    lowering: Lowering, node: Node, x: Any, order: Any = 2, dims: Any = None, *_: Any, **__: Any
) -> Ref | None:
    """Lower a Euclidean norm."""
    if order != 2:
        return None
    made = node.output
    x = lowering.ready(_converted(x, made.dtype))
    square = Formula("{0} * {0}", [x], nests.exact_type(made.dtype), x.shape, made.dtype)
    total = _reduced(lowering, "sum", square, _axes(dims, x.shape), made)
    _change(lowering, total, "sqrtf({0})" if made.dtype == torch.float32 else "sqrt({0})")
    return total


@lowers("argmax")
def argmax(
    lowering: Lowering, node: Node, x: Any, dim: Any = None, keepdim: bool = False
) -> Ref | None:
    """Lower the place of the largest element along an axis."""
    if dim is None:
        return None
    value, axis = lowering.ready(x), dim % len(x.shape)
    to = lowering.room([s for a, s in enumerate(x.shape) if a != axis], torch.int64)
    lowering.emit(folds.position_of_largest(value, axis, to), [value, to])
    shape = node.output.shape
    return Ref(to.storage, shape, contiguous(shape))


@lowers("mm")
def mm(lowering: Lowering, node: Node, a: Any, b: Any) -> Ref | None:
    """Lower a product of two matrices."""
    made = node.output
    if made.dtype not in (torch.float32, torch.float64):
        return None
    left, right = lowering.ref(a), lowering.ref(b)
    to = lowering.room(made.shape, made.dtype)
    lowering.emit([_product(left, right, to)], [left, right, to])
    return to


@lowers("bmm")
def bmm(lowering: Lowering, node: Node, a: Any, b: Any) -> Ref | None:
    """Lower products of pairs of matrices."""
    made = node.output
    if made.dtype not in (torch.float32, torch.float64):
        return None
    left, right = lowering.ref(a), lowering.ref(b)
    to = lowering.room(made.shape, made.dtype)
    moves = [f"{ref.strides[0]} * i0" for ref in (left, right, to)]
    body = _product(_inner(left), _inner(right), _inner(to), moves)
    lowering.emit(nests.looped([("i0", made.shape[0])], [body]), [left, right, to])
    return to


def _reduced(
    lowering: Lowering, kind: str, value: Value, axes: Sequence[int], made: Tracked
) -> Ref:
    count = math.prod(value.shape[axis] for axis in axes)
    is_long = kind == "sum" and made.dtype == torch.float32 and count >= LONG_SUM
    dtype = torch.float64 if is_long else made.dtype
    value = _converted(lowering.ready(value), dtype)
    kept = [size for axis, size in enumerate(value.shape) if axis not in axes]
    to = lowering.room(kept, dtype)
    lowering.emit(folds.reduction(kind, value, axes, to), [value, to])
    shown = Ref(to.storage, made.shape, contiguous(made.shape))
    return lowering.ref(_converted(shown, made.dtype))


def _change(lowering: Lowering, ref: Ref, form: str) -> None:
    """Compute a tensor anew from itself, in its place."""
    kind = nests.exact_type(ref.dtype)
    lowering.write(ref, Formula(form, [ref], kind, ref.shape, ref.dtype))


def _axes(dims: Any, shape: Sequence[int]) -> list[int]:
    if dims is None or dims == []:
        return list(range(len(shape)))
    listed = [dims] if isinstance(dims, int) else dims
    return [axis % len(shape) for axis in listed] if shape else []


def _converted(value: Value, dtype: torch.dtype) -> Value:
    if value.dtype == dtype:
        return value
    return Formula("{0}", [value], nests.exact_type(dtype), value.shape, dtype)


def _inner(ref: Ref) -> Ref:
    return Ref(ref.storage, ref.shape[1:], ref.strides[1:], ref.offset)


def _product(left: Ref, right: Ref, to: Ref, moves: Sequence[str] = ("0", "0", "0")) -> str:
    kind = C_TYPES[to.dtype]
    (m, k), n = left.shape, right.shape[1]
    a, b, c = (
        f"{ref.storage.name} + {ref.offset} + {move}"
        for ref, move in zip((left, right, to), moves, strict=True)
    )
    (a_row, a_column), (b_row, b_column) = left.strides, right.strides
    return (
        f"with->product_{kind}({m}, {n}, {k}, {a}, {a_row}, {a_column}, {b}, {b_row}, {b_column}, "
        f"{c}, {to.strides[0]});"
    )
