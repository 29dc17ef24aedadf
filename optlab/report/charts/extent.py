"""The part of its axes that a chart shows, and where on them lie values that have no place.

Coordinates are values as they are drawn: of an odds axis the log odds, of any other the values.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from optlab.report.charts import Array, Axis, Chart, Scale, Series
from optlab.report.charts.odds import WIDE_ODDS, log_odds, round_accuracies
from optlab.report.charts.round_ticks import Ticks, round_log_ticks

MARGIN = 0.04  # share of an axis left free at both its ends
ROW, MOST_ROWS = 0.05, 6  # height of a row of crosses as a share of the axis, and their number
MOST_CROSSES = 12  # of a line, beyond which only the first of each stretch is shown
MOST_TICKS, TICK_ROOM = 9, 0.09  # of values that have ticks of their own
ODDS_ROOM = 0.07
MOST_DECADES = 307.0
FARTHEST = 307.0  # power of ten of the ends of a logarithmic axis


@dataclass(frozen=True)
class Span:
    """What is shown of an axis.

    Attributes:
        scale: How values lie on it; ``"odds"`` only where they are too far apart for a linear one.
        low, high: Coordinates of its ends, the lower or left one first.
        ticks: Coordinates and texts of its ticks; where there are none whoever draws chooses.
    """

    scale: Scale
    low: float
    high: float
    ticks: Ticks = ()

    def coordinates(self, values: Array) -> Array:
        """Return where values lie, those without a place where they are: nan or infinite."""
        if self.scale == "odds":
            return np.where(np.isfinite(values), log_odds(values), values)
        if self.scale == "log":  # nothing and less lies infinitely far below
            return np.where(values > 0, values, np.where(np.isnan(values), np.nan, -np.inf))
        return values

    def at(self, share: float) -> float:
        """Return the coordinate at a share of the axis' length."""
        low, high = _even(self.scale, np.array([self.low, self.high]))
        place = float(low + share * (high - low))
        return _power(place) if self.scale == "log" else place

    def clip(self, coordinates: Array) -> Array:
        """Return coordinates moved to the nearest end where they lie beyond it."""
        return np.clip(coordinates, min(self.low, self.high), max(self.low, self.high))


@dataclass(frozen=True, eq=False)
class Crosses:
    """What stands at the edge of a chart for points of a series that have no place in it.

    Attributes:
        x, y: Coordinates.
        points: Which points they stand for.
    """

    x: Array
    y: Array
    points: npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Extent:
    """What a chart shows.

    Attributes:
        x, y: Of its axes.
        crosses: Of each series.
    """

    x: Span
    y: Span
    crosses: tuple[Crosses, ...]


def extent(chart: Chart) -> Extent:
    """Return what a chart shows at first: all that is shown of its series, with room around.

    Where there is a field, it is that part of the plane, however far series leave it.
    """
    shown = [series for series in chart.series if series.is_shown] or list(chart.series)
    across = [each for s in shown for each in (s.x, s.left, s.right)]
    upward = [each for s in shown for each in (s.y, s.low, s.high)]
    across_axis, upward_axis = chart.x, chart.y
    if chart.field:
        across_axis = _bounded(across_axis, chart.field.x)
        upward_axis = _bounded(upward_axis, chart.field.y)
    x = _span(across_axis, [*across, _marks(chart, "x")], _own_ticks(shown))
    y = _span(upward_axis, [*upward, _marks(chart, "y")])
    if y.scale == "names":  # the first name is the upper one
        y = Span(y.scale, y.high, y.low, y.ticks)
    rows = _rows(chart.series, y)
    x = _widened(x, ROW * any(np.isposinf(x.coordinates(series.x)).any() for series in shown))
    y = _widened(y, ROW * (max(rows) + 1) if any(rows) else 0.0)
    crosses = [_crosses(*each, x, y) for each in zip(chart.series, rows, strict=True)]
    return Extent(x, y, tuple(crosses))


def _bounded(axis: Axis, values: Array) -> Axis:
    return replace(axis, ends=axis.ends or (float(values.min()), float(values.max())))


def _span(axis: Axis, parts: Iterable[Array | None], own: Array | None = None) -> Span:
    values = np.concatenate([np.empty(0), *(np.ravel(p) for p in parts if p is not None)])
    scale = _scale(axis, values)
    if scale == "names":
        ticks = tuple((float(place), name) for place, name in enumerate(axis.names))
        return Span(scale, -0.5, max(len(ticks), 1) - 0.5, ticks)
    low, high = _ends(scale, values, axis.ends)
    if scale == "odds":
        rounds = round_accuracies((low, high), ODDS_ROOM)
        return Span(scale, low, high, tuple((at, f"{tick:g}") for tick, at in rounds.items()))
    return Span(scale, low, high, _ticks(scale, low, high, own))


def _scale(axis: Axis, values: Array) -> Scale:
    finite = values[np.isfinite(values)]
    if axis.scale == "odds" and (not len(finite) or np.ptp(log_odds(finite)) <= WIDE_ODDS):
        return "linear"
    if axis.scale == "log" and not (finite > 0).any():
        return "linear"
    return axis.scale


def _ends(scale: Scale, values: Array, ends: tuple[float, float] | None) -> tuple[float, float]:
    """Return the coordinates of both ends, with room unless they are given."""
    places = _even(scale, Span(scale, 0, 1).coordinates(np.array(ends) if ends else values))
    places = places[np.isfinite(places)]
    low, high = (float(places.min()), float(places.max())) if len(places) else (0.0, 1.0)
    if low == high:
        room = 0.5 if scale in ("log", "odds") else 0.5 * abs(low) or 0.5
    else:
        room = 0.0 if ends else MARGIN * (high - low)
    low, high = low - room, high + room
    if scale == "log":  # as far as there are numbers
        return 10 ** max(low, -FARTHEST), 10 ** min(high, FARTHEST)
    return low, high


def _ticks(scale: Scale, low: float, high: float, own: Array | None) -> Ticks:
    """Return ticks of a logarithmic axis: at each value itself where there is room, or round."""
    if scale != "log":
        return ()
    room = TICK_ROOM * (math.log10(high) - math.log10(low))
    if own is not None and 2 <= len(own) <= MOST_TICKS and np.diff(np.log10(own)).min() >= room:
        return tuple((float(value), f"{value:g}") for value in own)
    rounds = round_log_ticks(math.log10(low), math.log10(high))
    return tuple((_power(at), text) for at, text in rounds)


def _own_ticks(shown: list[Series]) -> Array:
    values = np.unique(np.concatenate([np.empty(0), *(series.x for series in shown)]))
    return np.asarray(values[np.isfinite(values) & (values > 0)])


def _even(scale: Scale, coordinates: Array) -> Array:
    """Return coordinates as they lie on paper."""
    if scale != "log":
        return coordinates
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(coordinates))


def _power(place: float) -> float:
    """Return ten to a power, within what a float holds."""
    return float(10 ** np.clip(place, -MOST_DECADES, MOST_DECADES))


def _marks(chart: Chart, along: str) -> Array:
    return np.array([mark.at for mark in chart.marks if mark.along == along], dtype=float)


def _rows(series: tuple[Series, ...], y: Span) -> list[int]:
    """Return the row of the crosses of each series, counted from the top; 0 where it needs none."""
    found: dict[str, int] = {}
    for each in series:
        if each.is_shown and np.isposinf(y.coordinates(each.y)).any():
            found.setdefault(each.name, len(found) % MOST_ROWS + 1)
    return [found.get(each.name, 0) for each in series]


def _widened(span: Span, share: float) -> Span:
    """Return a span of which the upper ``share`` is free of what lay in it."""
    return span if span.scale == "names" else replace(span, high=span.at(1 / (1 - share)))


def _crosses(series: Series, row: int, x: Span, y: Span) -> Crosses:
    across, upward = x.coordinates(series.x), y.coordinates(series.y)
    lost = np.isinf(across) | np.isinf(upward)
    lost &= ~np.isnan(across) & ~np.isnan(upward)
    if series.kind != "points" and lost.sum() > MOST_CROSSES:
        lost[1:] &= ~lost[:-1].copy()
    left, right, bottom = x.at(ROW / 2), x.at(1 - ROW / 2), y.at(ROW / 2)
    top = y.at(1 - ROW * max(row, 1))
    across = np.where(np.isposinf(across), right, np.where(np.isneginf(across), left, across))
    upward = np.where(np.isposinf(upward), top, np.where(np.isneginf(upward), bottom, upward))
    return Crosses(across[lost], upward[lost], np.flatnonzero(lost))
