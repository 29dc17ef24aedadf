"""What figures of several tasks share: the axis of a metric, and panels side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, compress
from statistics import mean

import numpy as np

from optlab.report.cells import Ranking, best_by_optimizer
from optlab.report.charts import Array, Axis, Chart, Panels
from optlab.report.charts.scales import suited
from optlab.report.page import Column, Value, is_empty

#: Panels beside one another: each has half of a page, so that its axes can be read.
COLUMNS = 2
#: Optimizers that a figure shows at first, the best; others can be shown from its legend.
MOST_SHOWN = 8
TASK = Column("task", "task")


def metric_axis(metric: str, values: Iterable[Array]) -> Axis:
    """Return the axis of a validation metric that is to show some values."""
    shown = np.concatenate([*values, np.empty(0)])
    return Axis(f"validation {metric}", suited(metric, shown))


def shown_first(ranking: Ranking) -> set[str]:
    """Return the optimizers that a figure shows at first: the best, by mean place over tasks."""
    places = [list(best_by_optimizer(cells)) for cells in ranking.ranked.values()]
    names = list(dict.fromkeys(chain.from_iterable(places)))
    means = {
        name: mean(own.index(name) if name in own else len(names) for own in places)
        for name in names
    }
    return set(sorted(names, key=means.__getitem__)[:MOST_SHOWN])


def side_by_side(name: str, title: str, caption: str, charts: Sequence[Chart]) -> Chart | Panels:
    """Return charts of one thing in several tasks as one figure: panels, or the chart alone."""
    if len(charts) == 1:
        return replace(charts[0], name=name, title=title, caption=caption)
    return Panels(name, title, caption, tuple(charts), COLUMNS)


def common(words: Iterable[str], otherwise: str) -> str:
    """Return the one word that all are, or another where they differ."""
    found = set(words)
    return found.pop() if len(found) == 1 else otherwise


def listed(words: Sequence[str], most: int) -> str:
    """Return "a, b and c", of more than ``most`` only the number of the rest."""
    shown = list(words) if len(words) <= most else [*words[:most], f"{len(words) - most} others"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def dependence(tasks: int, apart: int) -> list[str]:
    """Say that what is found over tasks holds for independent ones, where some are not."""
    if tasks == apart:
        return []
    kinds = "one and the same" if apart == 1 else f"only {apart} different ones"
    return [
        f"These {tasks} tasks are {kinds} under other conditions (starts, losses or options): who "
        "is good at one of them is likely to be good at its like, and they count as several."
    ]


def by_task(
    columns: Sequence[Column], rows: Sequence[tuple[str, Sequence[Value]]]
) -> tuple[tuple[Column, ...], list[tuple[Value, ...]]]:
    """Return the columns and rows of a table, the task first where there are several.

    Args:
        columns: Of each row; one that is empty in all is left out.
        rows: The group of each row, and its values.
    """
    whole = [(group, *values) for group, values in rows]
    told = [len({group for group, _ in rows}) > 1]
    told += [any(not is_empty(row[place]) for row in whole) for place in range(1, 1 + len(columns))]
    shown = [column for column, is_told in zip((TASK, *columns), told, strict=True) if is_told]
    return tuple(shown), [tuple(compress(row, told)) for row in whole]
