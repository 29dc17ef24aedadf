"""Validation curves of a cell: mean and range over its seeds, no seed dropped on the way."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from optlab.loggers.base import VAL_LOSS
from optlab.loggers.table import read_metrics
from optlab.records import RunRecord
from optlab.report.cells import ACCURACY, Ranking, best_by_optimizer, identity
from optlab.report.ranking import by_cell

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """A curve over seeds; arrays of one entry per epoch that any seed was evaluated at."""

    epoch: Array
    mean: Array
    low: Array
    high: Array


#: The curve of the best cell of each optimizer in each group, by group and optimizer.
Curves = Mapping[tuple[str, str], Band]

#: Rows of metrics tables, by run folder and tag.
Rows = Mapping[tuple[str, str], pl.DataFrame]


def best_losses(records: Sequence[RunRecord]) -> dict[Path, float]:
    """Return the lowest finite validation loss of every run that has a metrics table."""
    rows = read_metrics([record.folder for record in records], [VAL_LOSS])
    lowest = rows.filter(pl.col("value").is_finite()).group_by("folder").agg(pl.col("value").min())
    return {Path(folder): value for folder, value in lowest.iter_rows()}


def best_curves(records: Sequence[RunRecord], ranking: Ranking) -> Curves:
    """Return the curves of the best cells, of those that kept one."""
    runs = by_cell(records, ranking.keys)
    best = {
        (group, optimizer): (runs[identity(cell.key)], cell.metric)
        for group, cells in ranking.groups.items()
        for optimizer, cell in best_by_optimizer(cells).items()
    }
    rows = _validation_rows(
        [record for own, _ in best.values() for record in own], {m for _, m in best.values()}
    )
    curves = {place: _band(own, metric, rows) for place, (own, metric) in best.items()}
    return {place: curve for place, curve in curves.items() if curve is not None}


def band(records: Sequence[RunRecord], metric: str) -> Band | None:
    """Return the validation curve over the runs of one cell, or None when nothing was kept.

    Where a run has no value any more, one that stopped early keeps its last, and one that diverged
    or failed has the worst: accuracy 0, an infinite loss. Interrupted runs are left out.
    """
    return _band(records, metric, _validation_rows(records, {metric}))


def _validation_rows(records: Sequence[RunRecord], metrics: Collection[str]) -> Rows:
    """Read some metrics on the validation split, of all runs at once: a table is read but once."""
    tags = [f"{metric}/val" for metric in metrics]
    rows = read_metrics([record.folder for record in records], tags)
    return {(str(n), str(tag)): part for (n, tag), part in rows.group_by("folder", "tag")}


def _band(records: Sequence[RunRecord], metric: str, rows: Rows) -> Band | None:
    runs = [record for record in records if record.result.status != "interrupted"]
    own = {run.folder: rows.get((str(run.folder), f"{metric}/val")) for run in runs}
    kept = [part for part in own.values() if part is not None]
    if not kept:
        return None
    # A finished run without a table was told to keep none; that is no failure.
    known = [r for r in runs if own[r.folder] is not None or r.result.status != "done"]
    epochs = np.unique(np.concatenate([part["epoch"].to_numpy() for part in kept]))
    values = np.stack([_filled(r, own[r.folder], epochs, metric) for r in known])
    return Band(epochs, values.mean(axis=0), values.min(axis=0), values.max(axis=0))


def _filled(record: RunRecord, rows: pl.DataFrame | None, epochs: Array, metric: str) -> Array:
    """Return one run's values at ``epochs``, the missing ones filled in."""
    worst = 0.0 if metric == ACCURACY else math.inf
    if rows is None:
        return np.full(len(epochs), worst)
    rows = rows.sort("epoch", maintain_order=True)
    known, values = rows["epoch"].to_numpy(), rows["value"].to_numpy()
    latest = np.searchsorted(known, epochs, side="right") - 1
    filled = values[np.maximum(latest, 0)]
    lost = (epochs > known[-1]) & (record.result.status != "done")
    return np.where(lost | ~np.isfinite(filled), worst, filled)
