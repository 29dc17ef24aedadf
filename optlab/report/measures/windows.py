"""In numbers, how much an optimizer's result hangs on a hyperparameter."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optlab.loggers.base import VAL_LOSS
from optlab.report.cells import ACCURACY, LEARNING_RATE, LOSS, Cell, sets_apart
from optlab.report.charts import Array
from optlab.report.evidence import Evidence
from optlab.report.measures.swept import Swept, cost, hyperparameters, sweeps
from optlab.report.ranking import score
from optlab.statistics.sensitivity import Window, good_window, lr_sensitivity

#: What is as good as the best: a point of accuracy, or a hundredth of the way that the best loss
#: has come from the loss before training. Neither asks in what unit a loss is, or where it ends.
POINT, SHARE = 0.01, 0.01
#: Share of the best loss that is as good, where nobody noted the loss before training.
SHARE_OF_BEST = 0.1


@dataclass(frozen=True, eq=False)
class Finding:
    """What is found of one optimizer along one hyperparameter.

    Attributes:
        group: Of cells.
        name: Key of the hyperparameter.
        optimizer: Whose.
        swept: Its cells.
        best: The best of them.
        window: Values that are as good; None where that cannot be said.
        sensitivity: Mean excess of the clipped loss, of learning rates; nan where it is not known.
        edge: What the best value is at an end of what was tried, such as ``the highest``.
    """

    group: str
    name: str
    optimizer: str
    swept: Swept
    best: Cell
    window: Window | None
    sensitivity: float
    edge: str

    @property
    def num_values(self) -> int:
        """Number of values that were tried."""
        return self.swept.num_values

    @property
    def value(self) -> float:
        """The best value."""
        return float(self.best.key[self.name])


def findings(evidence: Evidence) -> list[Finding]:
    """Return what every swept hyperparameter does, by key, group and rank of the optimizer."""
    initial = initial_losses(evidence)
    found = [
        _finding(evidence, initial, group, name, optimizer, swept)
        for group, cells in evidence.ranking.ranked.items()
        for name in hyperparameters(cells)
        for optimizer, swept in sweeps(cells, name).items()
    ]
    keys = list(dict.fromkeys(finding.name for finding in found))
    keys.sort(key=lambda name: name != LEARNING_RATE)
    return sorted(found, key=lambda finding: keys.index(finding.name))


def initial_losses(evidence: Evidence) -> dict[Path, float]:
    """Return the validation loss before training, of the runs that recorded it."""
    rows = evidence.rows(VAL_LOSS)
    return {folder: float(own["value"][0]) for folder, own in rows.items() if own["update"][0] == 0}


def _finding(
    evidence: Evidence,
    initial: Mapping[Path, float],
    group: str,
    name: str,
    optimizer: str,
    swept: Swept,
) -> Finding:
    best = min(swept.best.values(), key=lambda cell: cell.rank)
    is_rate = name == LEARNING_RATE and swept.values[0] > 0
    return Finding(
        group,
        name,
        optimizer,
        swept,
        best,
        _window(swept, good_cost(evidence, initial, best)),
        _sensitivity(evidence, initial, swept) if is_rate else math.nan,
        swept.place,
    )


def good_cost(evidence: Evidence, initial: Mapping[Path, float], best: Cell) -> float:
    """Return the highest cost that is as good as that of the best cell."""
    if best.metric == ACCURACY:
        return cost(best) + POINT
    before = np.array([initial.get(run.folder, math.nan) for run in evidence.of(best)])
    if np.isfinite(before).all():
        return cost(best) + SHARE * max(float(before.mean()) - cost(best), 0.0)
    return cost(best) + SHARE_OF_BEST * abs(cost(best))


def _window(swept: Swept, good: float) -> Window | None:
    if swept.values[0] <= 0 or len(swept.values) < 2 or not math.isfinite(good):
        return None
    return good_window(swept.values, swept.costs, good)


def _sensitivity(evidence: Evidence, initial: Mapping[Path, float], swept: Swept) -> float:
    cells = [*swept.best.values()]
    losses = {
        name
        for name in cells[0].key
        if sets_apart(name, LOSS) and len({str(cell.key[name]) for cell in cells}) > 1
    }
    clipped = np.array([_clipped(evidence, initial, cell) for cell in cells])
    if losses or np.isnan(clipped).any():  # losses that cannot be compared, or are not known
        return math.nan
    return lr_sensitivity(swept.values, clipped, float(clipped.max()))


def _clipped(evidence: Evidence, initial: Mapping[Path, float], cell: Cell) -> float:
    """Return the mean loss of a cell's runs, each at most what it was before training."""
    runs = evidence.of(cell)
    final: Array = np.array([score(run, "val", LOSS) for run in runs])
    before = np.array([initial.get(run.folder, math.nan) for run in runs])
    return float(np.minimum(final, before).mean())
