"""Curves over seeds: mean and range of what the runs of a cell recorded, no seed dropped."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from optlab.loggers.base import VAL_LOSS
from optlab.loggers.table import read_metrics
from optlab.records import RunRecord
from optlab.report.cells import ACCURACY, best_by_optimizer
from optlab.report.evidence import Evidence
from optlab.report.measures.effort import Unit, per_update

Array = npt.NDArray[np.float64]

#: Points of a curve; one that has more is thinned evenly, its ends kept.
MOST_POINTS = 200


@dataclass(frozen=True)
class Band:
    """A curve over seeds.

    Attributes:
        x: Where it has points: epochs, unless another unit was asked for, (N).
        mean, low, high: Mean and range over runs at each, (N).
        runs: Number of runs; 0 where nobody noted it.
    """

    x: Array
    mean: Array
    low: Array
    high: Array
    runs: int = 0


#: The curve of the best cell of each optimizer in each group, by group and optimizer.
Curves = Mapping[tuple[str, str], Band]

#: Rows of one tag, in order of update, by run folder.
Rows = Mapping[Path, pl.DataFrame]


def best_losses(records: Sequence[RunRecord]) -> dict[Path, float]:
    """Return the lowest finite validation loss of every run that has a metrics table."""
    rows = read_metrics([record.folder for record in records], [VAL_LOSS])
    lowest = rows.filter(pl.col("value").is_finite()).group_by("folder").agg(pl.col("value").min())
    return {Path(folder): value for folder, value in lowest.iter_rows()}


def best_curves(evidence: Evidence) -> Curves:
    """Return the validation curves of the best cells over epochs, of those that kept one."""
    ranking = evidence.ranking
    rows = {m: evidence.rows(f"{m}/val") for m in set(ranking.metrics.values())}
    curves = {
        (group, optimizer): band(evidence.of(cell), f"{cell.metric}/val", rows[cell.metric])
        for group, cells in ranking.groups.items()
        for optimizer, cell in best_by_optimizer(cells).items()
    }
    return {place: curve for place, curve in curves.items() if curve is not None}


def band(
    records: Sequence[RunRecord],
    tag: str,
    rows: Rows,
    unit: Unit = "epochs",
    most: int = MOST_POINTS,
) -> Band | None:
    """Return what was recorded under a tag over the runs of one cell.

    Runs need not have been recorded at the same places: between its records a run has the value of
    the last. After its last record, a run that stopped early keeps that value, and one that
    diverged or failed has the worst: accuracy 0, an infinite loss. Interrupted runs are left out.

    Args:
        records: The runs.
        tag: What was recorded, such as ``"loss/val"``.
        rows: The rows of that tag, from `Evidence.rows`.
        unit: What x counts.
        most: Points to keep.

    Returns:
        None where nothing was recorded, or what an update cost is not known in that unit.
    """
    runs = [record for record in records if record.result.status != "interrupted"]
    places = {
        run.folder: _places(run, rows[run.folder], unit) for run in runs if run.folder in rows
    }
    if not places or any(np.isnan(own).any() for own in places.values()):
        return None
    # A finished run without a table was told to keep none; that is no failure.
    known = [r for r in runs if r.folder in places or r.result.status != "done"]
    x = np.unique(np.concatenate([*places.values()]))
    x = _thinned(np.append(x, _end_of_lost(runs, places, unit, x[-1])), most)
    worst = 0.0 if tag.startswith(f"{ACCURACY}/") else math.inf
    values = np.stack([_filled(r, places.get(r.folder), rows, x, worst) for r in known])
    return Band(x, values.mean(axis=0), values.min(axis=0), values.max(axis=0), len(known))


def _places(record: RunRecord, rows: pl.DataFrame, unit: Unit) -> Array:
    """Return where a run's rows are; nan where that is not known."""
    if unit == "epochs":
        return np.asarray(rows["epoch"].to_numpy(), dtype=float)
    updates = np.asarray(rows["update"].to_numpy(), dtype=float)
    # Before its first update a run has cost nothing, whatever an update costs.
    return np.where(updates == 0, 0.0, updates * per_update(record, unit))


def _end_of_lost(
    runs: Sequence[RunRecord], places: Mapping[Path, Array], unit: Unit, latest: float
) -> list[float]:
    """Return where the last run was lost, if after the latest record of all.

    Without a point there, a cell that lost all its runs would end as well as it did before.
    """
    lost = [run for run in runs if run.folder in places and run.result.status != "done"]
    ends = [run.result.updates * per_update(run, unit) for run in lost]
    return [max(later)] if (later := [end for end in ends if end > latest]) else []


def _thinned(places: Array, most: int) -> Array:
    if len(places) <= most:
        return places
    return np.asarray(places[np.linspace(0, len(places) - 1, most).round().astype(int)])


def _filled(record: RunRecord, known: Array | None, rows: Rows, x: Array, worst: float) -> Array:
    """Return one run's values at ``x``, the missing ones filled in."""
    if known is None:
        return np.full(len(x), worst)
    latest = np.searchsorted(known, x, side="right") - 1
    filled = rows[record.folder]["value"].to_numpy()[np.maximum(latest, 0)]
    lost = (x > known[-1]) & (record.result.status != "done")
    return np.where(lost | ~np.isfinite(filled), worst, filled)
