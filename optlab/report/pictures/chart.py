"""A chart as matplotlib draws it."""

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis as MatplotlibAxis
from matplotlib.cm import ScalarMappable

from optlab.report.charts import Array, Axis, Chart, Mark, Series
from optlab.report.charts.extent import Crosses, Extent, Span, extent
from optlab.report.pictures.field import draw_field
from optlab.report.pictures.legend import shown
from optlab.report.pictures.texts import label, wrapped

MARKS = 6  # of a line, about
BAND = 0.15
LINE, SMALL = "#59616A", 8
WIDEST = {"x": 70, "y": 40}  # characters of a title in one line
UPRIGHT = 56  # characters of names along an axis, beyond which they are slanted


def draw_chart(axes: Axes, chart: Chart, most_ticks: int = 9) -> ScalarMappable | None:
    """Draw a chart: what lies behind, lines across, and the series that are shown at first.

    Args:
        axes: Where to draw it.
        chart: The chart.
        most_ticks: Of an axis that has no ticks of its own.

    Returns:
        What the bar of its field shows, for whoever draws it.
    """
    part = extent(chart)
    filled = draw_field(axes, chart.field) if chart.field else None
    _set_axis(axes, "x", chart.x, part.x, most_ticks)
    _set_axis(axes, "y", chart.y, part.y, most_ticks)
    for mark in chart.marks:
        _draw_mark(axes, mark, part)
    visible = shown(chart)
    if part.x.scale == "linear" and all(_is_whole(series.x) for series in visible):
        axes.locator_params(axis="x", integer=True)
    pairs = zip(chart.series, part.crosses, strict=True)
    for place, (series, crosses) in enumerate(pairs):
        if series in visible:
            _draw_series(axes, series, part, place)
            _draw_crosses(axes, series, crosses)
    return filled


def _draw_series(axes: Axes, series: Series, part: Extent, place: int) -> None:
    x, y = _finite(part.x.coordinates(series.x)), _finite(part.y.coordinates(series.y))
    look: dict[str, Any] = series.look.of_line
    if series.kind == "points":
        look |= {"linestyle": "", "marker": series.look.marker or "o"}
        _draw_intervals(axes, series, part, x, y)
    else:
        # Markers of different lines at different places: where lines agree, all can be seen.
        step = max(1, len(x) // MARKS)
        look |= {"markevery": (place % step, step)}
        if series.kind == "steps":
            look |= {"drawstyle": "steps-post"}
        _draw_band(axes, series, part, x, y)
    axes.plot(x, y, **look)


def _draw_band(axes: Axes, series: Series, part: Extent, x: Array, y: Array) -> None:
    if series.low is None or series.high is None:
        return
    low, high = (_end(part.y, end, y) for end in (series.low, series.high))
    step: Any = "post" if series.kind == "steps" else None
    axes.fill_between(x, low, high, color=series.look.color, alpha=BAND, linewidth=0, step=step)


def _draw_intervals(axes: Axes, series: Series, part: Extent, x: Array, y: Array) -> None:
    look: dict[str, Any] = {"color": series.look.color, "linewidth": 1.6}
    if series.low is not None and series.high is not None:
        axes.vlines(x, _end(part.y, series.low, y), _end(part.y, series.high, y), **look)
    if series.left is not None and series.right is not None:
        axes.hlines(y, _end(part.x, series.left, x), _end(part.x, series.right, x), **look)


def _draw_crosses(axes: Axes, series: Series, crosses: Crosses) -> None:
    if not len(crosses.points):
        return
    look: dict[str, Any] = {"markeredgecolor": series.look.color, "markeredgewidth": 1.5}
    axes.plot(crosses.x, crosses.y, linestyle="", marker="x", clip_on=False, **look)


def _draw_mark(axes: Axes, mark: Mark, part: Extent) -> None:
    span = part.x if mark.along == "x" else part.y
    at = float(span.coordinates(np.array([mark.at]))[0])
    line: dict[str, Any] = {"color": LINE, "linewidth": 1, "linestyle": (0, (4, 3))}
    where: dict[str, Any]
    beside: dict[str, Any] = {"color": LINE, "fontsize": SMALL, "textcoords": "offset points"}
    if mark.along == "x":
        axes.axvline(at, **line)
        where = {"xy": (at, 1), "xycoords": axes.get_xaxis_transform(), "xytext": (2, -1)}
        axes.annotate(label(mark.text), **where, ha="left", va="top", **beside)
    else:
        axes.axhline(at, **line)
        where = {"xy": (1, at), "xycoords": axes.get_yaxis_transform(), "xytext": (-1, 2)}
        axes.annotate(label(mark.text), **where, ha="right", va="bottom", **beside)


def _set_axis(
    axes: Axes, which: Literal["x", "y"], axis: Axis, span: Span, most_ticks: int
) -> None:
    if span.scale == "log":
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(span.low, span.high)
    drawn: MatplotlibAxis = axes.xaxis if which == "x" else axes.yaxis
    drawn.set_label_text(wrapped(axis.title, WIDEST[which]))
    if span.ticks:
        names = [label(text) for _, text in span.ticks]
        drawn.set_ticks([at for at, _ in span.ticks], names)
        drawn.set_ticks([], minor=True)
        if which == "x" and span.scale == "names" and sum(map(len, names)) > UPRIGHT:
            axes.tick_params("x", rotation=30)
            for text in axes.get_xticklabels():
                text.set(ha="right", rotation_mode="anchor")
    elif span.scale == "linear":
        axes.locator_params(axis=which, nbins=most_ticks)
    if span.scale == "names":
        axes.tick_params(which, length=0)


def _end(span: Span, values: Array, at: Array) -> Array:
    """Return the end of an interval or a band, at the edge of the chart where it has none."""
    return np.where(np.isfinite(at), span.clip(span.coordinates(values)), np.nan)


def _is_whole(values: Array) -> bool:
    return bool(np.all(values[np.isfinite(values)] % 1 == 0))


def _finite(coordinates: Array) -> Array:
    return np.where(np.isfinite(coordinates), coordinates, np.nan)
