"""Whether a training is a function of its configuration: a few updates made again, bit by bit.

A pass makes a run anew and lists everything that it computes, in the order in which one thing
follows from another, so that the first difference between two passes is the nearest to its cause.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optlab.seeding import global_stream
from optlab.train.alone import backend_alone
from optlab.train.optimizer_state import bits, leaves
from optlab.train.parts import Parts
from optlab.train.stack.backend import Member
from optlab.train.stack.epochs import Factors, rows_of_epoch
from optlab.train.stack.runs import Runs

#: Updates of a pass: enough for what an optimizer does every tenth. A large model makes fewer, so
#: that what is kept of them has about this many bytes.
MOST_UPDATES, LEAST_UPDATES, KEPT_BYTES = 12, 2, 2**30

#: Tensors of a parameter's size that are kept of an update: weight, gradient, optimizer states.
KEPT_OF_A_PARAMETER = 5


class Place(NamedTuple):
    """What was seen, and when.

    Attributes:
        update: Number of the update, from 1; 0 before the first.
        kind: Such as ``"gradient"``.
        name: Such as the parameter's name.
    """

    update: int
    kind: str
    name: str


Pass = dict[Place, Any]


@dataclass(frozen=True)
class Difference:
    """The first thing in which two passes differ.

    Attributes:
        place: What it is.
        detail: By how much and where, in words; empty where only digests are known.
        count: How many things differ in all.
    """

    place: Place
    detail: str
    count: int


def passed(make: Callable[[], Parts], seed: int, device: str) -> Pass:
    """Make a run and a few of its updates, and return all that was computed.

    Args:
        make: Makes the run's parts from its configuration.
        seed: The run's seed.
        device: Its device.
    """
    with global_stream(seed, device):
        parts = make()
    torch.set_num_threads(parts.trainer.threads)
    with global_stream(seed, device, "training"):
        return {place: _kept(place, value) for place, value in _training(parts)}


def num_compared(parts: Parts) -> int:
    """Return the updates of a pass."""
    size = sum(p.numel() * p.element_size() for p in parts.module.parameters())
    fitting = KEPT_BYTES // max(KEPT_OF_A_PARAMETER * size, 1)
    return min(parts.num_updates, max(LEAST_UPDATES, min(MOST_UPDATES, fitting)))


def digests(found: Pass) -> dict[Place, str]:
    """Return a digest of everything in a pass."""
    return {place: _digest(value) for place, value in found.items()}


def first_difference(first: Pass, second: Pass) -> Difference | None:
    """Return the first thing in which two passes in one process differ, or None."""
    return _first(
        digests(first), digests(second), lambda at: _detail(first.get(at), second.get(at))
    )


def first_difference_of_digests(
    first: Mapping[Place, str], second: Mapping[Place, str]
) -> Difference | None:
    """Return the first thing whose digests differ, or None."""
    return _first(first, second, lambda at: "")


def _first(
    first: Mapping[Place, str], second: Mapping[Place, str], detail: Callable[[Place], str]
) -> Difference | None:
    places = dict.fromkeys([*first, *second])
    differing = [place for place in places if first.get(place) != second.get(place)]
    if not differing:
        return None
    return Difference(differing[0], detail(differing[0]), len(differing))


def _training(parts: Parts) -> Iterator[tuple[Place, Any]]:
    yield from _data(parts)
    backend = backend_alone(parts)
    runs = Runs([parts], backend)
    member, names = backend.members[0], parts.objective.names
    yield from _state(0, member)
    yield from _validation(0, runs)
    member.module.train()
    updates = num_compared(parts)
    factors = Factors([parts.schedule], parts.num_updates).between(0, updates, [0])
    for update, rows in enumerate(_batches(parts, updates), start=1):
        if rows is not None:
            yield Place(update, "batch", "row numbers"), rows
        values = backend.advance([0], rows, factors[:, update - 1 : update])[0, 0]
        yield from ((Place(update, "loss", n), v) for n, v in zip(names, values, strict=True))
        yield from _named(update, "gradient", member.gradients())
        yield from _state(update, member)
    yield from _validation(updates, runs)
    yield Place(updates, "engine", "execution"), backend.execution


def _data(parts: Parts) -> Iterator[tuple[Place, Tensor]]:
    for name in ("train", "val", "test"):
        split = getattr(parts.data, name)
        yield Place(0, "data", f"{name}.x"), split.x
        yield Place(0, "data", f"{name}.y"), split.y


def _batches(parts: Parts, updates: int) -> Iterator[Tensor | None]:
    """Yield the row numbers of each update, (1, 1, B); None stands for all rows."""
    per_epoch, size = parts.sampler.updates_per_epoch, parts.sampler.batch_size
    for epoch in range(-(-updates // per_epoch)):
        rows = rows_of_epoch([parts.sampler], epoch)
        for start in range(min(per_epoch, updates - epoch * per_epoch)):
            yield None if rows is None else rows[:, None, start * size : (start + 1) * size]


def _state(update: int, member: Member) -> Iterator[tuple[Place, Any]]:
    """Yield all that changes while a run trains: first of the optimizer, then what it changed."""
    state = dict(member.state())
    module = state.pop("module")
    weights = {name for name, _ in member.module.named_parameters()}
    yield from _named(update, "optimizer state", state)
    yield from _named(update, "weight", {n: v for n, v in module.items() if n in weights})
    yield from _named(update, "buffer", {n: v for n, v in module.items() if n not in weights})


def _validation(update: int, runs: Runs) -> Iterator[tuple[Place, Any]]:
    yield from _named(update, "evaluation", runs.validation()[0])


def _named(update: int, kind: str, tree: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    yield from ((Place(update, kind, name), value) for name, value in leaves(tree))


def _kept(place: Place, value: Any) -> Any:
    """Return a value that later updates do not change; data stay as they are."""
    if not isinstance(value, Tensor):
        return value
    return value.detach().to("cpu", copy=place.kind != "data")


def _digest(value: Any) -> str:
    is_tensor = isinstance(value, Tensor)
    form = f"{value.dtype} {tuple(value.shape)}" if is_tensor else f"{type(value).__name__}"
    content = bits(value) if is_tensor else _plain(value)
    return hashlib.blake2b(form.encode() + content, digest_size=16).hexdigest()


def _plain(value: Any) -> bytes:
    """Return a number or text as bytes; objects of others may name their address: nothing."""
    return repr(value).encode() if isinstance(value, int | float | complex | str) else b""


def _detail(first: Any, second: Any) -> str:
    """Say by how much and where two values differ."""
    if first is None or second is None:
        return "one of the two has none"
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return f"{first!r} and {second!r}"
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return f"{_form(first)} and {_form(second)}"
    gaps = (first.double() - second.double()).abs()
    gaps = torch.where(first == second, 0.0, gaps.nan_to_num(nan=torch.inf))
    at = tuple(int(i) for i in torch.unravel_index(gaps.argmax(), gaps.shape))
    where = f" at [{', '.join(map(str, at))}]" if at else ""
    count = int((gaps > 0).sum())
    share = f", in {count} of {gaps.numel()} elements" if at else ""
    if not count:
        return "in the sign of a zero or the kind of a NaN"
    values = f"{first[at].item()!r} and {second[at].item()!r}"
    return f"by {gaps[at].item():.3g} at most{where}: {values}{share}"


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
