"""Cells of a sweep as plain values, and what they are called: in lists, labels and groups.

Everything that a report shows of its ranking is in these values, so it can be shown again from a
table that holds them.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from optlab.report.phrases import OPTIMIZER, optimizer_name, phrases

ACCURACY, LOSS = "accuracy", "loss"
TASK = "task.name"
START = "model.start"
LEARNING_RATE, BATCH_SIZE = "optimizer.lr", "trainer.batch_size"

#: Ends of a run that are counted apart; the other runs are done.
ENDS = ("diverged", "failed", "interrupted")
#: Of an accuracy, as far as cells are ordered by it: it is kept in single precision.
DIGITS = 6


@dataclass(frozen=True)
class Estimate:
    """Mean over runs with its 95 % interval; nan where there are too few runs.

    The interval is based on Student's t; that of an accuracy is not symmetric and ends at 0 and 1.
    It is nan also where all runs have the same value: see `mean_interval`.

    Attributes:
        mean, std: Mean and sample standard deviation.
        low, high: Ends of the interval of the mean.
        iqm: Interquartile mean, which is finite as long as no more than a quarter of the runs is
            lost to an infinite loss.
    """

    mean: float
    std: float
    low: float
    high: float
    iqm: float = math.nan


@dataclass(frozen=True)
class Cell:
    """The runs of one combination of the grid, over seeds.

    Attributes:
        rank: Place among the comparable cells, from 1; 0 where no run of any of them is done.
        key: Values of the ranking's configuration keys, in their order.
        metric: What its group is ranked by, ``"accuracy"`` or ``"loss"``.
        label: The key in few words, such as "adam, lr=0.01".
        runs: Number of its runs.
        ends: Number of its runs by end, for each of `ENDS`.
        val: Validation metric.
        test: Test metric; nan when some finished run has none.
        best_loss: Mean over runs of the lowest validation loss on the way.
        final_loss: Mean over runs of the validation loss at the end.
        verdicts: Share of its runs by verdict, of those verdicts that some run has.
    """

    rank: int
    key: Mapping[str, Any]
    metric: str
    label: str
    runs: int
    ends: Mapping[str, int]
    val: Estimate
    test: Estimate
    best_loss: float
    final_loss: float
    verdicts: Mapping[str, float] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Number of its runs that came to their end."""
        return self.runs - sum(self.ends.values())

    @property
    def scored(self) -> int:
        """Number of its runs that its estimates are of: all but the interrupted ones."""
        return self.runs - self.ends["interrupted"]

    @property
    def optimizer(self) -> str:
        """What its optimizer is called."""
        return optimizer_name(self.key)


@dataclass(frozen=True)
class Ranking:
    """Cells, the best first within each group of comparable ones.

    Attributes:
        keys: Configuration keys that vary without the seed, and those of optimizer and task.
        groups: Comparable cells by what sets the group apart, such as "digits"; "" if nothing does.
    """

    keys: tuple[str, ...]
    groups: Mapping[str, tuple[Cell, ...]]

    @property
    def ranked(self) -> dict[str, tuple[Cell, ...]]:
        """The groups that have anything to rank."""
        return {name: cells for name, cells in self.groups.items() if cells[0].rank}

    @property
    def metrics(self) -> dict[str, str]:
        """What each group is ranked by on the validation split, ``"accuracy"`` or ``"loss"``."""
        return {name: cells[0].metric for name, cells in self.groups.items()}

    @property
    def cells(self) -> list[Cell]:
        """All cells, group by group."""
        return list(chain.from_iterable(self.groups.values()))


def arranged(keys: Iterable[str], cells: Sequence[Cell]) -> Ranking:
    """Return ranked cells as a ranking: groups by name, in each the best first."""
    ordered = sorted(cells, key=lambda cell: cell.rank)
    names = sorted({group_of(cell.key, cell.metric) for cell in cells})
    groups = {n: tuple(c for c in ordered if group_of(c.key, c.metric) == n) for n in names}
    return Ranking(tuple(keys), groups)


def merit(cell: Cell) -> float:
    """Return what cells are ordered by, the lowest first: a loss, or minus an accuracy; or nan.

    Accuracies that agree to the millionth are equal: only rounding tells them apart.
    """
    return round(-cell.val.mean, DIGITS) if cell.metric == ACCURACY else cell.val.mean


def best_by_optimizer(cells: Iterable[Cell]) -> dict[str, Cell]:
    """Return the first, best cell of each optimizer, the best optimizer first."""
    best: dict[str, Cell] = {}
    for cell in cells:
        best.setdefault(cell.optimizer, cell)
    return best


def occurring(cells: Iterable[Cell]) -> list[str]:
    """Return the verdicts that some run of the cells has, sorted."""
    return sorted({name for cell in cells for name in cell.verdicts})


def sets_apart(name: str, metric: str) -> bool:
    """Say whether the metric means different things at different values of a key."""
    apart = ("task", "loss") if metric == LOSS else ("task",)
    return name.split(".")[0] in apart or name == START  # of a point on a test function


def group_of(key: Mapping[str, Any], metric: str) -> str:
    """Return the name of the cells that a cell can be compared with."""
    return ", ".join(phrases(key, {name for name in key if sets_apart(name, metric)}))


def identity(key: Mapping[str, Any]) -> str:
    """Return a text that is equal for equal keys."""
    return json.dumps(list(key.values()), default=str)


def labels(keys: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> list[str]:
    """Return a label for each cell: what varies in its group, without what sets groups apart.

    Also left out is the batch size where the optimizer's name fixes it: that of batch gradient
    descent, for one, is part of the method.
    """
    groups = [group_of(key, metric) for key, metric in zip(keys, metrics, strict=True)]
    members: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for group, key in zip(groups, keys, strict=True):
        members[group].append(key)
    shown = {group: _telling(own) for group, own in members.items()}
    return [
        ", ".join(phrases(key, shown[group])) or _of_one(key)
        for group, key in zip(groups, keys, strict=True)
    ]


def _telling(keys: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names whose values tell the cells of one group apart."""
    values = {name: [identity({name: key[name]}) for key in keys] for name in keys[0]}
    shown = {name for name, own in values.items() if len(set(own)) > 1}
    if {OPTIMIZER, BATCH_SIZE} <= shown:
        pairs = set(zip(values[OPTIMIZER], values[BATCH_SIZE], strict=True))
        if len(pairs) == len(set(values[OPTIMIZER])):
            shown.remove(BATCH_SIZE)
    return shown


def _of_one(key: Mapping[str, Any]) -> str:
    """Return the label of a cell that is alone in its group."""
    return optimizer_name(key) if key.get(OPTIMIZER) else "all runs"
