"""Methods over several tasks: their ranks in each, and how good they are in the middle of all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optlab.report.cells import TASK, Cell, best_by_optimizer, merit
from optlab.report.evidence import Evidence
from optlab.report.measures.pairs import scores
from optlab.statistics.across_tasks import (
    average_ranks,
    critical_difference,
    friedman_p,
    nemenyi_p,
)
from optlab.statistics.intervals import Interval, iqm_interval

Array = npt.NDArray[np.float64]
Methods = Mapping[str, Mapping[str, Cell]]  # cells by method and task

FEWEST_TASKS = 3
LOWEST = -1.0  # normalised score: as far behind the middle as the best is ahead, or farther


@dataclass(frozen=True)
class Standing:
    """A method over all tasks.

    Attributes:
        method: What it is called.
        tasks: Number of tasks that it ran on; it comes last on the others.
        rank: Average rank.
        p: Of Nemenyi's test against the method with the lowest average rank.
        score: Interquartile mean of its normalised scores, with its interval.
    """

    method: str
    tasks: int
    rank: float
    p: float
    score: Interval


@dataclass(frozen=True)
class Standings:
    """Methods over all tasks, the lowest average rank first.

    Attributes:
        rows: The methods.
        tasks: Number of tasks.
        apart: How many of them are not another start, or another loss, of the same task: tests
            take tasks as independent.
        p: Of Friedman's test that all rank alike; nan for two methods.
        difference: How far average ranks must be apart to differ (Nemenyi, 5 %).
    """

    rows: tuple[Standing, ...]
    tasks: int
    apart: int
    p: float
    difference: float


def tuned(evidence: Evidence) -> Methods:
    """Return the best cell of each optimizer in each task: what tuning on the task itself gives."""
    found: dict[str, dict[str, Cell]] = {}
    for group, cells in evidence.ranking.ranked.items():
        for name, cell in best_by_optimizer(cells).items():
            found.setdefault(name, {})[group] = cell
    return found


def standings(evidence: Evidence, methods: Methods) -> Standings | None:
    """Return how methods stand over tasks; None for fewer than two methods or three tasks.

    A method that lacks a task comes last there.
    """
    groups = list(evidence.ranking.ranked)
    if len(groups) < FEWEST_TASKS or len(methods) < 2:
        return None
    means = np.array([[_mean(own.get(group)) for own in methods.values()] for group in groups])
    ranks, pairs = average_ranks(means), nemenyi_p(means)
    normalised = _normalised(evidence, groups, methods, means)
    order = np.argsort(ranks, kind="stable")
    names = list(methods)
    rows = tuple(
        Standing(
            names[i],
            sum(group in methods[names[i]] for group in groups),
            float(ranks[i]),
            float(pairs[order[0], i]),
            iqm_interval(normalised[names[i]]),
        )
        for i in order
    )
    difference = critical_difference(len(groups), len(methods))
    return Standings(rows, len(groups), num_apart(evidence, groups), friedman_p(means), difference)


def num_apart(evidence: Evidence, groups: Iterable[str]) -> int:
    """Return how many different tasks some groups of cells are of, whatever their options."""
    return len({evidence.ranking.groups[group][0].key.get(TASK) for group in groups})


def _mean(cell: Cell | None) -> float:
    """Return a cell's mean value, the lowest best; infinite where there is none."""
    return np.inf if cell is None or np.isnan(cell.val.mean) else merit(cell)


def _normalised(
    evidence: Evidence, groups: list[str], methods: Methods, means: Array
) -> dict[str, list[Array]]:
    """Return the normalised scores of each method's runs, an array for each task.

    A score is 1 at the mean of the task's best method, 0 at that of its middle one (of its worst,
    where the middle one is as good as the best, or diverged), and nowhere below `LOWEST`, which is
    also what a diverged or a missing run has.
    """
    found: dict[str, list[Array]] = {name: [] for name in methods}
    for group, row in zip(groups, means, strict=True):
        for name, own in methods.items():
            values = [*scores(evidence, own[group]).values()] if group in own else []
            # Two of them: a method that was not run is known to have no other value.
            found[name].append(_score(np.array(values or [np.inf, np.inf]), row))
    return found


def _score(values: Array, means: Array) -> Array:
    """Return the normalised scores of some values in a task where methods have these means."""
    best, middle = means.min(), np.median(means)
    if not best < middle < np.inf:  # half of the methods tie with the best, or diverged
        middle = means[np.isfinite(means)].max(initial=best)
    if not best < middle:  # all that came to an end are alike
        return np.where(np.isfinite(values), 0.0, LOWEST)
    scaled: Array = np.maximum((middle - values) / (middle - best), LOWEST)
    return scaled
