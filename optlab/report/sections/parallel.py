"""Cells as lines across one axis for each factor and one for the metric."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from optlab.report.cells import ACCURACY
from optlab.report.charts import Axis, Parallel, Views
from optlab.report.charts.scales import suited
from optlab.report.sections.importance import Importance

#: Lines that can still be told apart.
MOST_LINES = 300


def parallel(found: Sequence[Importance]) -> Parallel | Views:
    """Return the cells of one group as lines, or a view for each of several groups."""
    figures = {one.group: _lines(one, place) for place, one in enumerate(found)}
    if len(figures) == 1:
        return next(iter(figures.values()))
    caption = f"A view for each task. {_caption(0, 0)}"
    return Views("parallel", "All cells at once", caption, kind="task", choices=figures)


def _lines(one: Importance, place: int) -> Parallel:
    count, metric = len(one.cells), one.cells[0].metric
    # Evenly spaced from the best to the worst, both included.
    shown = np.unique(np.linspace(0, count - 1, min(count, MOST_LINES)).round().astype(int))
    means = np.array([one.cells[i].val.mean for i in shown])
    scale = suited(metric, means)
    order = sorted(range(len(one.factors)), key=lambda i: _rank(one, i))
    ends = [one.factors[i] for i in order]
    values = np.stack([*(factor.places[shown] for factor in ends), means], axis=1)
    return Parallel(
        f"parallel_{place:02d}",
        "All cells at once" + (f", {one.group}" if one.group else ""),
        _caption(len(shown), count),
        (
            *(factor.axis for factor in ends),
            Axis(f"validation {metric}", scale),
        ),
        values,
        # By the metric itself nearly all cells of a sweep look alike.
        100 * rankdata(means if metric == ACCURACY else -means) / len(means),
        "cells that are no better (%)",
    )


def _rank(one: Importance, factor: int) -> int:
    """Return the place of a factor among the effects, so that what matters most comes first."""
    return [effect.places for effect in one.effects].index((factor,))


def _caption(shown: int, count: int) -> str:
    which = "Each line is a cell"
    if shown < count:
        which = f"Each line is a cell, {shown} of {count:,} evenly from the best to the worst"
    return (
        f"{which}; it crosses each axis at the cell's value and the last one at its mean "
        "validation metric over seeds, and is coloured by its rank. Axes stand in the order of "
        "their importance. Drag along an axis to keep only the lines that pass there."
    )
