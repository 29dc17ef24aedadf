"""Trials of each optimizer, and what the best of some of them comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optlab.records import SweepRecord
from optlab.report.cells import ACCURACY, Cell
from optlab.report.charts import Array
from optlab.report.evidence import Evidence
from optlab.report.measures.swept import cost
from optlab.statistics.best_of_k import best_so_far, expected_best, quantile_best

#: Between these quantiles lies the best of k trials of four searches in five.
LOWER, UPPER = 0.1, 0.9
#: Numbers of trials at which a curve has its points, at most.
MOST_POINTS = 100


@dataclass(frozen=True, eq=False)
class Trials:
    """The trials of one optimizer: its cells, each scored by its mean over seeds.

    Attributes:
        group: Of cells.
        optimizer: Whose.
        cells: Its scored cells, n; as a search planned them, if ``in_order``, else the best first.
        in_order: Whether a search made them in an order that is known.
    """

    group: str
    optimizer: str
    cells: Sequence[Cell]
    in_order: bool

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def metric(self) -> str:
        """What they are judged by."""
        return self.cells[0].metric

    @property
    def budgets(self) -> Array:
        """Numbers of trials from 1 to n, all of them or evenly in the logarithm, (K)."""
        n = len(self)
        even = np.arange(1, n + 1) if n <= MOST_POINTS else np.geomspace(1, n, MOST_POINTS)
        return np.unique(np.round(even)).astype(np.float64)

    def typical(self, budgets: Array) -> Array:
        """Return what the best of k trials comes to, (K).

        Of accuracies that is the expectation; of losses, which may be infinite, the median.
        """
        costs = self._costs
        if self.metric == ACCURACY:
            return -expected_best(costs, budgets)
        return quantile_best(costs, 0.5, budgets)

    def spread(self, budgets: Array) -> tuple[Array, Array]:
        """Return the lower and upper end of what the best of k trials mostly comes to, (K)."""
        low, high = (quantile_best(self._costs, level, budgets) for level in (LOWER, UPPER))
        return (-high, -low) if self.metric == ACCURACY else (low, high)

    def first(self, budgets: Array) -> Array:
        """Return the best of the first k trials, (K)."""
        best = best_so_far(self._costs)[budgets.astype(np.int64) - 1]
        return -best if self.metric == ACCURACY else best

    @property
    def _costs(self) -> Array:
        return np.array([cost(cell) for cell in self.cells])


def trials(evidence: Evidence, group: str) -> list[Trials]:
    """Return the trials of each optimizer in a group, the best optimizer first."""
    places = _places(evidence.sweeps)
    found: dict[str, list[Cell]] = {}
    for cell in evidence.ranking.groups[group]:
        if cell.scored:
            found.setdefault(cell.optimizer, []).append(cell)
    return [_trials(evidence, group, name, own, places) for name, own in found.items()]


def _trials(
    evidence: Evidence,
    group: str,
    optimizer: str,
    cells: Sequence[Cell],
    places: Mapping[Path, int],
) -> Trials:
    own = {
        cell.rank: min(places.get(run.folder, len(places)) for run in evidence.of(cell))
        for cell in cells
    }
    in_order = bool(places) and all(place < len(places) for place in own.values())
    ordered = sorted(cells, key=lambda cell: own[cell.rank]) if in_order else cells
    return Trials(group, optimizer, ordered, in_order)


def _places(sweeps: Sequence[SweepRecord]) -> dict[Path, int]:
    """Return the places of the runs of searches, in the order in which they were planned."""
    folders = [folder for sweep in sweeps if _is_search(sweep) for folder in sweep.order]
    return {folder: place for place, folder in enumerate(folders)}


def _is_search(sweep: SweepRecord) -> bool:
    words = [word for line in sweep.lines for word in line]
    return any("interval(" in word or word.startswith("protocol=") for word in words)
