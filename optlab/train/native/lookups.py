"""Operations that read or write where an index says."""

from typing import Any

from optlab.train.native import nests
from optlab.train.native.graph import Node
from optlab.train.native.lower import Lowering, lowers
from optlab.train.native.values import Formula, Ref, Value


@lowers("gather")
def gather(
    lowering: Lowering, node: Node, table: Any, dim: int, index: Any, **_: Any
) -> Value | None:
    """Lower a lookup along an axis, the other axes going along."""
    source = lowering.ref(table)
    shape = node.output.shape
    if not shape or not source.shape:
        return None
    axis = dim % len(shape)
    strides = tuple(0 if a == axis else s for a, s in enumerate(source.strides))
    along = Ref(source.storage, shape, strides, source.offset)
    size, step = source.shape[axis], source.strides[axis]
    value = Formula("", [index], "", shape, source.dtype, table=along, length=size, step=step)
    return lowering.ref(value)


@lowers("index_select")
def index_select(lowering: Lowering, node: Node, table: Any, dim: int, index: Any) -> Value | None:
    """Lower a choice of rows of an axis."""
    shape = node.output.shape
    if not shape:
        return None
    axis = dim % len(shape)
    return gather(lowering, node, table, axis, _spread(lowering.ref(index), shape, axis))


@lowers("scatter_add")
def scatter_add(
    lowering: Lowering, node: Node, base: Any, dim: int, index: Any, source: Any
) -> Ref | None:
    """Lower a copy of ``base`` to which values are added along an axis, where the index says."""
    if not base.shape or len(index.shape) != len(base.shape):
        return None
    to = lowering.room(base.shape, base.dtype)
    lowering.write(to, base)
    at = lowering.ref(index)
    shape, axis = at.shape, dim % len(at.shape)
    value = source
    if not isinstance(source, Formula) or source.arguments:
        lying = lowering.ref(source)
        value = Ref(lying.storage, shape, lying.strides, lying.offset)
    strides = tuple(0 if a == axis else s for a, s in enumerate(to.strides))
    along = Ref(to.storage, shape, strides)
    nest = nests.Nest(shape, [at, value], [along])
    where = f"{nest.address(along)} + {nest.name(at)} * (int64_t){to.strides[axis]}"
    inside = f"(uint64_t){nest.name(at)} < {to.shape[axis]}"
    body = [*nest.body(), f"if ({inside}) {to.storage.name}[{where}] += {nest.name(value)};"]
    lines = nests.block([*nest.constants(), *nests.looped(nest.loops(), body)])
    lowering.emit(lines, [at, value, to])
    return to


@lowers("index_add")
def index_add(
    lowering: Lowering, node: Node, base: Any, dim: int, index: Any, source: Any, **options: Any
) -> Ref | None:
    """Lower a copy of ``base`` to which rows are added."""
    if options or not base.shape:
        return None
    rows = lowering.ref(source)
    axis = dim % len(rows.shape)
    places = _spread(lowering.ref(index), rows.shape, axis)
    return scatter_add(lowering, node, base, axis, places, rows)


def _spread(index: Ref, shape: tuple[int, ...], axis: int) -> Ref:
    """Return an index of one axis as one for every element."""
    step = index.strides[0] if index.strides else 0
    strides = tuple(step if a == axis else 0 for a in range(len(shape)))
    return Ref(index.storage, shape, strides, index.offset)
