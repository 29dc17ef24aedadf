"""Axes on which the good ends of a metric can be told apart: log odds, logarithm, or linear."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from optlab.report.cells import ACCURACY
from optlab.report.charts import Array, Scale
from optlab.report.charts.odds import WIDE_ODDS, from_log_odds, log_odds, round_accuracies

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOM = {"x": 0.1, "y": 0.06}  # share of an axis that a tick's label takes
WIDE_RATIO = 5.0  # a range too wide for a linear axis


def suited(metric: str, values: Array) -> Scale:
    """Return the scale on which the finite values of a metric can be told apart.

    Args:
        metric: ``"accuracy"`` or ``"loss"``.
        values: What is to be shown, of any shape.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "linear"
    ends = np.array([finite.min(), finite.max()])
    if metric == ACCURACY:
        return "odds" if np.ptp(log_odds(ends)) > WIDE_ODDS else "linear"
    return "log" if ends[0] > 0 and ends[1] > WIDE_RATIO * ends[0] else "linear"


def scale(axes: "Axes", which: Literal["x", "y"], metric: str) -> None:
    """Choose the scale of an axis by the finite values of the lines that are drawn on it.

    Args:
        axes: Where they are drawn.
        which: The axis that shows the metric.
        metric: ``"accuracy"`` or ``"loss"``.
    """
    lines = [np.asarray(line.get_data()[which == "y"], dtype=float) for line in axes.lines]
    chosen = suited(metric, np.concatenate([*lines, np.empty(0)]))
    change: Any = axes.set_yscale if which == "y" else axes.set_xscale
    if chosen == "odds":
        change("function", functions=(log_odds, from_log_odds))
        axes.autoscale(axis=which)  # its margins were linear
        _mark_accuracies(axes, which)
    elif chosen == "log":
        change("log")


def _mark_accuracies(axes: "Axes", which: Literal["x", "y"]) -> None:
    """Put ticks at round accuracies, those that matter most first, as far as there is room."""
    axis, limits = (axes.yaxis, axes.get_ylim()) if which == "y" else (axes.xaxis, axes.get_xlim())
    low, high = log_odds(np.array(limits))
    ticks = round_accuracies((float(low), float(high)), ROOM[which])
    axis.set_ticks(list(ticks), [f"{tick:g}" for tick in ticks])


def make_room(axes: "Axes", share: float) -> None:
    """Leave the upper ``share`` of the axes free of what is drawn so far."""
    transform = axes.yaxis.get_transform()
    low, high = transform.transform(np.array(axes.get_ylim()))
    top = transform.inverted().transform(np.array([low + (high - low) / (1 - share)]))
    axes.set_ylim(top=float(top[0]))
