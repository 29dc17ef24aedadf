"""What a hyperparameter does to each optimizer: the best of its cells at each value."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from optlab.report.cells import ACCURACY, LEARNING_RATE, Cell, sets_apart
from optlab.report.charts import Array
from optlab.statistics.sensitivity import edge

#: Values of a hyperparameter from which on there is something to say about it.
FEWEST = 3
#: Values beyond which a line through all of them would follow the noise of a search.
MOST = 12
#: Values of a search in each of the bins that the best are taken from, about.
PER_BIN = 3
#: Values of a search up to which its edge is one of them at either end, and beyond which a tenth.
MANY, TENTH = 20, 10
WIDE_RATIO = 20.0  # of values that are too far apart for a linear axis


@dataclass(frozen=True, eq=False)
class Swept:
    """Cells of one optimizer along one of its hyperparameters.

    Attributes:
        best: The best cell at each value, whatever else varies, by value. Of a search, the best of
            each of some bins that are even on the axis.
        trials: All its cells that have a value, the best first.
        tried: The best cell at each value that was tried, by value: those of a search as well.
        is_log: Whether values are told apart by their ratio.
        is_search: Whether the values were drawn by a search.
    """

    best: Mapping[float, Cell]
    trials: Sequence[Cell]
    tried: Mapping[float, Cell]
    is_log: bool
    is_search: bool

    @property
    def values(self) -> Array:
        """The values of the best cells, in order, (R)."""
        return np.array([*self.best])

    @property
    def costs(self) -> Array:
        """What the best cells cost, (R)."""
        return np.array([cost(cell) for cell in self.best.values()])

    @property
    def num_values(self) -> int:
        """Number of values that were tried."""
        return len(self.tried)

    @property
    def tried_costs(self) -> Array:
        """What the best cell at each value that was tried costs, (V)."""
        return np.array([cost(cell) for cell in self.tried.values()])

    @property
    def end(self) -> Literal["", "low", "high"]:
        """End of what was tried that the best value sits on; 0 is none, as nothing lies below it.

        It is judged by the values themselves: a bin of a search holds many that lie inside.
        """
        outer = self.num_values // TENTH if self.is_search and self.num_values > MANY else 1
        end = edge(np.arange(1.0, 1 + self.num_values), self.tried_costs, outer)
        return "" if end == "low" and min(self.tried) == 0 else end

    @property
    def place(self) -> str:
        """The end in words: ``the highest``, or ``one of the highest`` of a search of many."""
        if not self.end:
            return ""
        is_last = self.tried_costs.argmin() in (0, self.num_values - 1)
        return f"{'the' if is_last else 'one of the'} {self.end}est"


def cost(cell: Cell) -> float:
    """Return what is the lower the better: a validation loss, or minus an accuracy."""
    return -cell.val.mean if cell.metric == ACCURACY else cell.val.mean


def hyperparameters(cells: Sequence[Cell]) -> list[str]:
    """Return the keys of which some optimizer has tried enough numbers, the rate first.

    Args:
        cells: Of one group.
    """
    keys = [name for name in cells[0].key if not sets_apart(name, cells[0].metric)]
    enough = [
        name
        for name in keys
        if any(len({c.key[name] for c in own}) >= FEWEST for own in _known(cells, name).values())
    ]
    return sorted(enough, key=lambda name: name != LEARNING_RATE)


def sweeps(cells: Sequence[Cell], name: str) -> dict[str, Swept]:
    """Return what each optimizer does along a hyperparameter, the best optimizer first.

    Args:
        cells: Of one group, the best first.
        name: The hyperparameter.
    """
    logarithmic = _is_log(cells, name)
    return {key: _swept(own, name, logarithmic) for key, own in _known(cells, name).items()}


def _is_log(cells: Sequence[Cell], name: str) -> bool:
    """Say whether the values of a hyperparameter, all above 0, are told apart by their ratio."""
    values = [cell.key[name] for own in _known(cells, name).values() for cell in own]
    return min(values) > 0 and (name == LEARNING_RATE or max(values) > WIDE_RATIO * min(values))


def _known(cells: Sequence[Cell], name: str) -> dict[str, list[Cell]]:
    """Return the scored cells that have a number under a key, by optimizer."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        if _is_number(cell.key[name]) and not math.isnan(cell.val.mean):
            found.setdefault(cell.optimizer, []).append(cell)
    return found


def _swept(trials: Sequence[Cell], name: str, logarithmic: bool) -> Swept:
    best: dict[float, Cell] = {}
    for cell in trials:
        best.setdefault(float(cell.key[name]), cell)
    best = dict(sorted(best.items()))
    is_search = len(best) > MOST or _is_drawn(trials, name)
    kept = _best_of_bins(best, logarithmic) if is_search else best
    return Swept(kept, trials, best, logarithmic, is_search)


def _is_drawn(trials: Sequence[Cell], name: str) -> bool:
    """Say whether each value comes with one of its own of another number: points in a plane."""
    columns = {other: [cell.key[other] for cell in trials] for other in trials[0].key}
    values = columns.pop(name)
    num = len(set(values))
    return num >= FEWEST and any(
        all(map(_is_number, others))
        and len(set(others)) == num == len(set(zip(values, others, strict=True)))
        for others in columns.values()
    )


def _best_of_bins(best: Mapping[float, Cell], logarithmic: bool) -> dict[float, Cell]:
    """Return the best cell of each bin that has any."""
    values = np.array([*best])
    places = np.log(values) if logarithmic else values
    edges = np.linspace(places[0], places[-1], max(FEWEST, len(best) // PER_BIN) + 1)
    kept: dict[int, tuple[float, Cell]] = {}
    for own, (value, cell) in zip(np.digitize(places, edges[1:-1]), best.items(), strict=True):
        if own not in kept or cell.rank < kept[own][1].rank:
            kept[own] = value, cell
    return dict(kept.values())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
