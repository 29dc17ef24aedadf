"""Operations that show the same memory in another way, and those that put tensors together."""

from typing import Any

import torch
from torch import Tensor

from optlab.train.native.elementwise import constant
from optlab.train.native.graph import Node
from optlab.train.native.lower import Lowering, lowers
from optlab.train.native.values import Formula, Ref


@lowers(
    *("t", "transpose", "permute", "view", "_unsafe_view", "unsqueeze", "squeeze", "expand"),
    *("slice", "select", "split", "split_with_sizes", "unbind", "diagonal", "as_strided", "unfold"),
    *("alias", "detach"),
)
def view(lowering: Lowering, node: Node, value: Any, *rest: Any, **keywords: Any) -> Any:
    """Lower a view: no statement, other strides."""
    if node.name == "as_strided" or any(o.dtype != value.dtype for o in node.outputs if o):
        return None  # they show the memory itself, which PyTorch may have arranged differently
    is_constant = isinstance(value, Formula) and not value.arguments and value.kept is None
    if is_constant and not node.several and not lowering.is_written(node.output):
        return Formula(value.form, [], value.operand, node.output.shape, value.dtype)
    ref = lowering.ref(value)
    try:
        return viewed(node.target, ref, *rest, **keywords)
    except RuntimeError:  # no such view of these strides
        return viewed(node.target, lowering.in_order(ref), *rest, **keywords)


@lowers("lift_fresh")
def lift_fresh(lowering: Lowering, node: Node, value: Any) -> Ref:
    """Lower a tensor made of numbers, which is new at every call."""
    ref = lowering.ref(value)
    if not lowering.is_written(node.output):
        return ref
    copy = lowering.room(ref.shape, ref.dtype)
    lowering.write(copy, ref)
    return copy


def viewed(function: Any, ref: Ref, *rest: Any, **keywords: Any) -> Any:
    """Return what a view makes of a tensor's shape, strides and offset."""
    flat = torch.empty(ref.storage.size, dtype=torch.int8, device="meta")
    shown = function(flat.as_strided(ref.shape, ref.strides, ref.offset), *rest, **keywords)

    def of(tensor: Tensor) -> Ref:
        return Ref(ref.storage, tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()))

    return [of(t) for t in shown] if isinstance(shown, list | tuple) else of(shown)


@lowers("cat")
def cat(lowering: Lowering, node: Node, tensors: Any, dim: int = 0) -> Ref:
    """Lower a join along an axis."""
    made = node.output
    to = lowering.room(made.shape, made.dtype)
    axis, start = dim % len(made.shape), 0
    for part in tensors:
        if part.shape != (0,):  # which joins anything
            offset = start * to.strides[axis]
            lowering.write(Ref(to.storage, part.shape, to.strides, offset), part)
            start += part.shape[axis]
    return to


@lowers("stack")
def stack(lowering: Lowering, node: Node, tensors: Any, dim: int = 0) -> Ref:
    """Lower a join along a new axis."""
    made = node.output
    to = lowering.room(made.shape, made.dtype)
    axis = dim % len(made.shape)
    strides = tuple(s for a, s in enumerate(to.strides) if a != axis)
    for i, part in enumerate(tensors):
        lowering.write(Ref(to.storage, part.shape, strides, i * to.strides[axis]), part)
    return to


@lowers("slice_scatter")
def slice_scatter(lowering: Lowering, node: Node, base: Any, source: Any, *rest: Any) -> Ref:
    """Lower a copy with a slice replaced."""
    return _replaced(lowering, base, source, torch.ops.aten.slice.Tensor, rest)


@lowers("select_scatter")
def select_scatter(lowering: Lowering, node: Node, base: Any, source: Any, *rest: Any) -> Ref:
    """Lower a copy with one index along an axis replaced."""
    return _replaced(lowering, base, source, torch.ops.aten.select.int, rest)


def _replaced(lowering: Lowering, base: Any, source: Any, function: Any, rest: Any) -> Ref:
    to = lowering.room(base.shape, base.dtype)
    lowering.write(to, base)
    lowering.write(viewed(function, to, *rest), source)
    return to


@lowers("constant_pad_nd")
def pad(lowering: Lowering, node: Node, x: Any, widths: Any, value: Any = 0) -> Ref | None:
    """Lower padding."""
    if any(width < 0 for width in widths):
        return None
    made = node.output
    to = lowering.room(made.shape, made.dtype)
    lowering.write(to, constant(value, to.shape, made.dtype))
    last = len(to.shape) - 1
    offset = sum(width * to.strides[last - i] for i, width in enumerate(widths[::2]))
    lowering.write(Ref(to.storage, x.shape, to.strides, offset), x)
    return to
