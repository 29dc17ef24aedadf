"""What a stack's runs are given in an epoch: rows, factors of their learning rates, and cuts.

Shapes: active runs A, updates of the epoch U, training rows N.
"""

from collections.abc import Hashable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from optlab.config.schema import DiagnosticsConfig
from optlab.train.course import Schedule
from optlab.train.samplers import Sampler


def rows_of_epoch(samplers: Sequence[Sampler], number: int) -> Tensor | None:
    """Return every run's rows in their order, (A, N), on the device of the data.

    Runs of one seed share an order, which is drawn once. None stands for all rows, as they are.
    """
    distinct = list(dict.fromkeys(samplers))
    orders = [sampler.rows(number) for sampler in distinct]
    drawn = [order for order in orders if order is not None]
    if not drawn:
        return None
    place = {sampler: i for i, sampler in enumerate(distinct)}
    places = torch.tensor([place[sampler] for sampler in samplers])
    device = samplers[0].device
    return _sent(torch.stack(drawn), device).index_select(0, _sent(places, device))


def batches_between(rows: Tensor | None, start: int, stop: int, size: int) -> Tensor | None:
    """Return the rows of some updates of an epoch, (A, K, B), of batches of ``size`` rows."""
    if rows is None:
        return None
    batches = rows[:, start * size : stop * size]
    return batches.reshape(len(batches), stop - start, -1)


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; nobody waits until it is there."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class Factors:
    """Factors of the learning rates. Runs with equal schedules share them, computed once.

    Args:
        schedules: One per run.
        num_updates: Updates of the whole training.
    """

    def __init__(self, schedules: Sequence[Schedule], num_updates: int) -> None:
        keys = [_identity(schedule) for schedule in schedules]
        self._distinct = dict(zip(keys, schedules, strict=True))
        self._keys, self._num_updates = keys, num_updates

    def between(self, first: int, last: int, active: Sequence[int]) -> Tensor:
        """Return the factors of updates from ``first`` to before ``last``, (A, U), float64."""
        keys = [self._keys[run] for run in active]
        place = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        table = [
            [float(self._distinct[key](update, self._num_updates)) for update in range(first, last)]
            for key in place
        ]
        # Number by number, as of a run alone: on tensors cosines round in another way.
        return torch.tensor(table, dtype=torch.float64)[[place[key] for key in keys]]


def _identity(schedule: Schedule) -> Hashable:
    """Return what equal schedules share: the options of optlab's own are compared by value."""
    owner = getattr(schedule, "__self__", None)
    try:
        hash(owner)
    except TypeError:
        return id(owner)
    return id(schedule) if owner is None else (owner, getattr(schedule, "__name__", ""))


def stretches(
    first: int,
    last: int,
    wanted: DiagnosticsConfig,
    short: bool,
    log_every: int | None = None,
    histograms_every: int = 0,
) -> list[tuple[int, int]]:
    """Return the parts of an epoch's updates between which somebody has to look at the runs.

    A look at the flow of gradients comes before its update; norms look right before and right
    after theirs. A short last batch is a part of its own.

    Args:
        first: Updates made before the epoch.
        last: Updates made after it.
        wanted: What to measure, and how often.
        short: Whether the last batch has fewer rows than the others.
        log_every: Updates of a window at whose end runs that diverged have to stop, if they do.
        histograms_every: Updates between looks at weights and gradients, right after theirs.

    Returns:
        Pairs of the updates made before and after each part.
    """
    cuts = {first, last}
    if wanted.flow_every:
        cuts |= set(_multiples(wanted.flow_every, first, last))
    if wanted.every:
        after = set(_multiples(wanted.every, first + 1, last + 1))
        cuts |= after | {update - 1 for update in after}
    for every in (log_every, histograms_every):
        cuts |= set(_multiples(every, first, last)) if every else set()
    if short:
        cuts.add(last - 1)
    ordered = sorted(cuts)
    return list(pairwise(ordered))


def _multiples(of: int, low: int, high: int) -> range:
    """Return the multiples in [low, high)."""
    return range(-(-low // of) * of, high, of)
