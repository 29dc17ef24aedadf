"""The curves of cells, mean, low and high over seeds, as records of TensorBoard's event files.

A record is made of few bytes and much ado, so those of all cells are made together.

Shapes: points of all curves N.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from optlab.dashboard.axes import Axis, Floats, Integers, whole_steps
from optlab.dashboard.cell_runs import CellRun
from optlab.loggers.base import TRAIN_LOSS, VAL_LOSS
from optlab.loggers.scalar_records import scalar_records, step_bytes
from optlab.report.cells import Ranking
from optlab.report.evidence import Evidence
from optlab.report.measures.curves import Band, band

BAND = ("mean", "low", "high")
RANGE = "range_"
UNTHINNED = 100_000  # points


class Curve(NamedTuple):
    """A curve of a cell over one axis.

    Attributes:
        cell: Number of the cell.
        axis: What its steps are.
        tag: What was recorded, such as ``accuracy/val``.
        steps: Steps, (N).
        times: Seconds since 1970, (N).
        values: Mean, low and high, (N, 3).
    """

    cell: int
    axis: Axis
    tag: str
    steps: Integers
    times: Floats
    values: Floats


def tags_of(ranking: Ranking) -> list[str]:
    """Return what is drawn: what the ranking goes by, and the losses."""
    return sorted({f"{metric}/val" for metric in ranking.metrics.values()} | {VAL_LOSS, TRAIN_LOSS})


def curves(evidence: Evidence, runs: Sequence[CellRun]) -> Iterator[Curve]:
    """Give the curves of cells."""
    for tag in tags_of(evidence.ranking):
        rows = evidence.rows(tag)
        for cell, own in enumerate(runs):
            if (over_seeds := band(own.runs, tag, rows, "updates", UNTHINNED)) is not None:
                yield from _over_axes(cell, own, tag, over_seeds)


def _over_axes(cell: int, run: CellRun, tag: str, over_seeds: Band) -> Iterator[Curve]:
    values = np.stack([over_seeds.mean, over_seeds.low, over_seeds.high], axis=1)
    for axis, cost in run.costs.items():
        kept, steps = whole_steps(over_seeds.x * cost)
        times = run.start + over_seeds.x[kept] * run.update_s
        yield Curve(cell, axis, tag, steps, times, values[kept])


def tag_of(tag: str, axis: Axis, part: str) -> str:
    """Return the name of a curve, such as ``by_update/accuracy/val/mean``.

    What stands before the first slash is a group of TensorBoard's page: the ends of the range have
    one of their own, which leaves the means together.
    """
    return f"{axis.name if part == BAND[0] else RANGE + axis.name}/{tag}/{part}"


def encoded(all_curves: Iterable[Curve]) -> dict[int, bytes]:
    """Return the records of each cell's curves."""
    alike: dict[tuple[Axis, str], list[Curve]] = defaultdict(list)
    for curve in all_curves:
        alike[curve.axis, curve.tag].append(curve)
    pieces: dict[int, list[bytes]] = defaultdict(list)
    for (axis, tag), own in alike.items():
        tags = tuple(tag_of(tag, axis, part) for part in BAND)
        for cell, records in _records(tags, own):
            pieces[cell].append(records)
    return {cell: b"".join(parts) for cell, parts in pieces.items()}


def _records(tags: tuple[str, ...], own: Sequence[Curve]) -> Iterator[tuple[int, bytes]]:
    """Give the records of curves under the same tags, those of a cell in order of step."""
    cells = np.concatenate([np.full(len(curve.steps), curve.cell) for curve in own])
    steps, times, values = (
        np.concatenate(parts) for parts in zip(*(curve[3:] for curve in own), strict=True)
    )
    sizes = step_bytes(steps)
    for size in np.unique(sizes):  # a greater step never takes fewer bytes
        at = np.flatnonzero(sizes == size)
        made = scalar_records(tags, times[at], steps[at], values[at])
        found, first = np.unique(cells[at], return_index=True)
        bounds = [*first, len(at)]
        for cell, start, stop in zip(found.tolist(), bounds[:-1], bounds[1:], strict=True):
            yield cell, made[start:stop].tobytes()
