"""Where the lines of parallel coordinates cross each axis, and what stands beside it.

An axis goes from 0 to 1, one of names downwards. What is infinite or unknown has a place of its own
beyond its ends.

Shapes: lines N.
"""

from dataclasses import dataclass

import numpy as np

from optlab.report.charts import Array, Axis
from optlab.report.charts.odds import log_odds, round_accuracies
from optlab.report.charts.round_ticks import Ticks, round_log_ticks, round_ticks

BEYOND = 0.1  # from an end of an axis to what is infinite or unknown
MOST_TICKS, ROOM = 9, 0.08  # and the share of an axis that one takes
INFINITE, MINUS_INFINITE, UNKNOWN = "∞", "-∞", "none"


@dataclass(frozen=True, eq=False)
class Crossings:
    """Of all lines with one axis.

    Attributes:
        places: Where they are, (N).
        ticks: Places on the axis and their texts.
    """

    places: Array
    ticks: tuple[tuple[float, str], ...]


def crossings(axis: Axis, values: Array) -> Crossings:
    """Return where the lines cross an axis.

    Args:
        axis: The axis.
        values: Of the lines, (N); on an axis of names the places of the names.
    """
    even = _even(axis, values)
    finite = even[np.isfinite(even)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if axis.scale == "names":
        low, high = float(max(len(axis.names) - 1, 0)), 0.0
    if low == high:
        low, high = low - 1, high + 1
    places = (even - low) / (high - low)
    ticks = [*_ticks(axis, values, even, (low, high)), *_beyond(places)]
    placed = np.nan_to_num(places, nan=-BEYOND, posinf=1 + BEYOND, neginf=-BEYOND)
    return Crossings(placed, tuple(ticks))


def _even(axis: Axis, values: Array) -> Array:
    """Return values as they lie on paper."""
    if axis.scale == "odds":
        return np.where(np.isfinite(values), log_odds(values), values)
    if axis.scale != "log":
        return values
    with np.errstate(divide="ignore"):
        return np.asarray(np.log10(np.maximum(values, 0)))


def _ticks(
    axis: Axis, values: Array, even: Array, ends: tuple[float, float]
) -> list[tuple[float, str]]:
    """Return a tick at each value where they are few, else at round ones between the ends."""
    low, high = ends
    if axis.scale == "names":
        return [((at - low) / (high - low), name) for at, name in enumerate(axis.names)]
    there = np.flatnonzero(np.isfinite(even))
    own = there[np.unique(even[there], return_index=True)[1]]
    if len(own) <= MOST_TICKS and (np.diff(even[own]) >= ROOM * (high - low)).all():
        ticks: Ticks = tuple((float(even[i]), f"{values[i]:.3g}") for i in own)
    elif axis.scale == "odds":
        ticks = tuple((at, f"{v:g}") for v, at in round_accuracies(ends, ROOM).items())
    else:
        ticks = (round_log_ticks if axis.scale == "log" else round_ticks)(low, high)
    return [((at - low) / (high - low), text) for at, text in ticks]


def _beyond(places: Array) -> list[tuple[float, str]]:
    below = [UNKNOWN] * bool(np.isnan(places).any())
    below += [MINUS_INFINITE] * bool(np.isneginf(places).any())
    above = [(1 + BEYOND, INFINITE)] * bool(np.isposinf(places).any())
    return [*([(-BEYOND, ", ".join(below))] if below else []), *above]
