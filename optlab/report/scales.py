"""Axes on which the good ends of a metric can be told apart: log odds, logarithm, or linear."""

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes

from optlab.report.cells import ACCURACY
from optlab.report.curves import Array

#: Moves 0 and 1 to places that can be drawn; a hundredth is still told apart from either.
SOFTNESS = 0.005
TICKS = (1.0, 0.9, 0.5, 0.98, 0.1, 0.95, 0.99, 0.7, 0.3, 0.8, 0.2, 0.02, 0.0, 0.05)
ROOM = {"x": 0.1, "y": 0.06}  # share of an axis that a tick's label takes
WIDE_ODDS, WIDE_RATIO = 2.0, 5.0  # ranges too wide for a linear axis


def log_odds(accuracy: Array) -> Array:
    """Return log(a / (1 - a)), softened so that it is finite at 0 and 1."""
    # The ends of an axis may lie a little beyond both.
    inside = np.clip(accuracy, -0.99 * SOFTNESS, 1 + 0.99 * SOFTNESS)
    return np.log((inside + SOFTNESS) / (1 - inside + SOFTNESS))


def from_log_odds(odds: Array) -> Array:
    """Return the accuracy of softened log odds."""
    return (1 + 2 * SOFTNESS) / (1 + np.exp(-odds)) - SOFTNESS


def scale(axes: Axes, which: Literal["x", "y"], metric: str) -> None:
    """Choose the scale of an axis by the finite values of the lines that are drawn on it.

    Args:
        axes: Where they are drawn.
        which: The axis that shows the metric.
        metric: ``"accuracy"`` or ``"loss"``.
    """
    lines = [np.asarray(line.get_data()[which == "y"], dtype=float) for line in axes.lines]
    shown = np.concatenate([*lines, np.empty(0)])
    shown = shown[np.isfinite(shown)]
    if not len(shown):
        return
    ends = np.array([shown.min(), shown.max()])
    change: Any = axes.set_yscale if which == "y" else axes.set_xscale
    if metric == ACCURACY and np.ptp(log_odds(ends)) > WIDE_ODDS:
        change("function", functions=(log_odds, from_log_odds))
        axes.autoscale(axis=which)  # its margins were linear
        _mark_accuracies(axes, which)
    elif metric != ACCURACY and ends[0] > 0 and ends[1] > WIDE_RATIO * ends[0]:
        change("log")


def _mark_accuracies(axes: Axes, which: Literal["x", "y"]) -> None:
    """Put ticks at round accuracies, those that matter most first, as far as there is room."""
    axis, limits = (axes.yaxis, axes.get_ylim()) if which == "y" else (axes.xaxis, axes.get_xlim())
    low, high = log_odds(np.array(limits))
    kept: dict[float, float] = {}
    for tick, place in zip(TICKS, log_odds(np.array(TICKS)), strict=True):
        nearest = min((abs(place - other) for other in kept.values()), default=np.inf)
        if low <= place <= high and nearest >= ROOM[which] * (high - low):
            kept[tick] = float(place)
    axis.set_ticks(sorted(kept), [f"{tick:g}" for tick in sorted(kept)])


def make_room(axes: Axes, share: float) -> None:
    """Leave the upper ``share`` of the axes free of what is drawn so far."""
    transform = axes.yaxis.get_transform()
    low, high = transform.transform(np.array(axes.get_ylim()))
    top = transform.inverted().transform(np.array([low + (high - low) / (1 - share)]))
    axes.set_ylim(top=float(top[0]))
