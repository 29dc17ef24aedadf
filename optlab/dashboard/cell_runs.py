"""A cell as a run of TensorBoard: its hyperparameters, those of its seeds, and its scores."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from optlab.dashboard.axes import Axis, costs
from optlab.identity import cell_hash
from optlab.loggers import event_file
from optlab.loggers.scalar_records import scalar_records
from optlab.records import RunRecord
from optlab.report.cells import Cell

RANK, LOST = "score/rank", "score/lost_runs"


@dataclass(frozen=True)
class CellRun:
    """A cell as a run of TensorBoard.

    Attributes:
        name: Its folder below that of all cells.
        cell: The cell.
        runs: Its runs, at least one.
        keys: The hyperparameters that tell cells apart.
        start: Time of its first records, in seconds since 1970: TensorBoard lists runs by it.
    """

    name: str
    cell: Cell
    runs: Sequence[RunRecord]
    keys: Sequence[str]
    start: float

    @cached_property
    def costs(self) -> Mapping[Axis, float]:
        """What an update cost, on the axes that its curves are drawn over."""
        return costs(self.runs)

    @property
    def update_s(self) -> float:
        """Seconds of an update; 0 where runs were not timed alone, and no time can be told."""
        return next((c / a.scale for a, c in self.costs.items() if a.unit == "seconds"), 0.0)

    def first_records(self) -> bytes:
        """Return hyperparameters and group, those of its seeds: they share a row of the table."""
        first = self.runs[0]
        hparams = {key: first.options[key] for key in self.keys if key in first.options}
        return event_file.first_records(hparams, cell_hash(first.config))

    def last_records(self) -> bytes:
        """Return its scores, and that it has ended; what is not known is left out."""
        known = {tag: value for tag, value in scores(self.cell).items() if not math.isnan(value)}
        step = max(run.result.updates for run in self.runs)
        values = np.array([list(known.values())])
        score = scalar_records(tuple(known), np.array([self.start]), np.array([step]), values)
        done = all(run.result.status == "done" for run in self.runs)
        result = replace(self.runs[0].result, verdicts=[]) if done else None
        return score.tobytes() + event_file.last_records(result)


def scores(cell: Cell) -> dict[str, float]:
    """Return what the ranking says of a cell, by tag.

    A run that diverged or failed counts there with the worst value there is, and all runs count;
    TensorBoard's own means are of the last records of those runs that it is given.
    """
    val, test = score_tags(cell.metric)
    return {
        RANK: float(cell.rank or math.nan),
        val: cell.val.mean,
        f"{val}_low": cell.val.low,
        f"{val}_high": cell.val.high,
        LOST: float(cell.ends["diverged"] + cell.ends["failed"]),
        test: cell.test.mean,
    }


def score_tags(metric: str) -> tuple[str, str]:
    """Return the tags of means over seeds on validation and test split."""
    return f"score/{metric}_val", f"score/{metric}_test"
