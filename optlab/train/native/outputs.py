"""Where results go: into places that may be those of inputs, which others may still have to read.

Places of one shape are written in one loop, and those of many elements first.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optlab.train.native import nests
from optlab.train.native.values import Formula, Ref, Shape, Storage, Value, contiguous, leaves

if TYPE_CHECKING:
    from optlab.train.native.lower import Lowering


def store(lowering: "Lowering", values: Sequence[Value], results: Sequence[int]) -> None:
    """Write values into the arguments of these numbers."""
    loops: dict[Shape, list[tuple[Ref, Value]]] = {}
    places = [_place(lowering, value, slot) for value, slot in zip(values, results, strict=True)]
    taken = {place.storage: place for place in places}
    for value, place in zip(values, places, strict=True):
        lying = value.kept if isinstance(value, Formula) and value.kept is not None else value
        own = lying if is_in_step(lying, place, taken) else lowering.ref(copied(lying))
        if not (isinstance(own, Ref) and _is_bound(lowering, own, place)):
            loops.setdefault(own.shape, []).append((place, own))
    for shape in sorted(loops, key=lambda shape: -math.prod(shape)):
        stores = loops[shape]
        used = [value for _, value in stores] + [place for place, _ in stores]
        lowering.emit(nests.elementwise(shape, stores), used)


def _place(lowering: "Lowering", value: Value, slot: int) -> Ref:
    storage = lowering.storage(value.dtype, max(math.prod(value.shape), 1), slot)
    return Ref(storage, value.shape, contiguous(value.shape))


def _is_bound(lowering: "Lowering", value: Ref, place: Ref) -> bool:
    """Let a result be computed right where it belongs, if nothing else lies there."""
    inputs = {ref.storage for ref in lowering.inputs}
    is_fresh = value.storage.slot is None and value.storage not in inputs
    if not (is_fresh and place.storage not in inputs and value.is_whole):
        return False
    value.storage.slot = place.storage.slot
    lowering.storages.remove(place.storage)
    return True


def is_in_step(value: Value, place: Ref, taken: Mapping[Storage, Ref]) -> bool:
    """Return whether a value, written to its place, reads nothing that was written over before.

    What is read of the places must be read at the very element that is written, or before the
    loop.

    Args:
        value: What is written.
        place: Where to.
        taken: All places that are written, by their memory.
    """
    for ref, shape in leaves([value]):
        other = taken.get(ref.storage)
        if other is None:
            continue
        in_loop = other.shape == place.shape
        is_later = math.prod(other.shape) < math.prod(place.shape)
        is_early = math.prod(ref.shape) == 1 < math.prod(place.shape) and (in_loop or is_later)
        is_there = (ref.strides, ref.offset) == (other.strides, other.offset)
        if not (is_early or (in_loop and is_there and shape == ref.shape == place.shape)):
            return False
    return True


def copied(value: Value) -> Formula:
    """Return a formula of a value, which is computed and stored anew."""
    if isinstance(value, Formula):
        return value
    return Formula("{0}", [value], nests.exact_type(value.dtype), value.shape, value.dtype)
