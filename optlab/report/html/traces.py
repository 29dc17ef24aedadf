"""The series of a chart as plotly draws them.

Strings are as the user wrote them: `figures.js` escapes them, as plotly reads some HTML.
"""

from typing import Any

import numpy as np

from optlab.report.charts import Array, Axis, Chart, Series
from optlab.report.charts.extent import Crosses, Extent, Span
from optlab.report.html import looks
from optlab.report.html.arrays import packed

MOST_MARKERS = 9  # of a line
NUMBER = ".4~g"
BAND = 0.15  # opacity
Plot = dict[str, Any]


def traces(series: Series, shown: Extent, crosses: Crosses, chart: Chart) -> list[Plot]:
    """Return what is drawn of a series: its band, its points, its crosses at the edge."""
    bands = [_band(series, shown)] if _has_band(series) else []
    lost = [_lost(series, crosses, chart)] if len(crosses.points) else []
    common = {"type": "scatter", "name": series.name}
    return [common | trace for trace in (*bands, _points(series, shown, chart), *lost)]


def _has_band(series: Series) -> bool:
    return series.kind != "points" and series.low is not None and series.high is not None


def _points(series: Series, shown: Extent, chart: Chart) -> Plot:
    x, y = shown.x.coordinates(series.x), shown.y.coordinates(series.y)
    trace: Plot = {"x": packed(x), "y": packed(y), **_said(series, shown, chart)}
    if series.kind == "points":
        trace |= {"mode": "markers", "marker": looks.marker(series.look)}
        trace |= _intervals("y", y, shown.y, series.low, series.high, series)
    else:
        trace |= {"mode": "lines", "line": looks.line(series.look)}
        if series.look.marker:
            marker = looks.marker(series.look) | {"maxdisplayed": MOST_MARKERS}
            trace |= {"mode": "lines+markers", "marker": marker}
        if series.kind == "steps":
            trace["line"]["shape"] = "hv"
    return trace | _intervals("x", x, shown.x, series.left, series.right, series)


def _intervals(
    which: str, at: Array, span: Span, low: Array | None, high: Array | None, series: Series
) -> Plot:
    """Return the error bars of points, those without an end up to the edge."""
    if low is None or high is None:
        return {}
    ends = [span.clip(span.coordinates(end)) for end in (low, high)]
    bar = {
        "type": "data",
        "array": packed(ends[1] - at),
        "arrayminus": packed(at - ends[0]),
        "color": series.look.color,
        "thickness": 1.6,
        "width": 3,
    }
    return {f"error_{which}": bar}


def _band(series: Series, shown: Extent) -> Plot:
    """Return the area between low and high, a closed line around each stretch without a gap."""
    assert series.low is not None
    assert series.high is not None
    x = np.where(np.isfinite(series.y), shown.x.coordinates(series.x), np.nan)
    low, high = (shown.y.clip(shown.y.coordinates(end)) for end in (series.low, series.high))
    if series.kind == "steps":
        x, low, high = np.repeat(x, 2)[1:], np.repeat(low, 2)[:-1], np.repeat(high, 2)[:-1]
    whole = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    across, upward = [np.empty(0)], [np.empty(0)]
    for stretch in np.split(np.arange(len(x)), np.flatnonzero(np.diff(whole)) + 1):
        if len(stretch) and whole[stretch[0]]:
            back = stretch[::-1]
            across += [x[stretch], x[back], np.array([np.nan])]
            upward += [high[stretch], low[back], np.array([np.nan])]
    fill = {"fill": "toself", "fillcolor": series.look.color, "opacity": BAND}
    look = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    corners = {"x": np.concatenate(across)[:-1], "y": np.concatenate(upward)[:-1]}
    return {name: packed(values) for name, values in corners.items()} | fill | look


def _lost(series: Series, crosses: Crosses, chart: Chart) -> Plot:
    said = [
        series.texts[i]
        if series.texts
        else f"{_named(chart.x, series.x[i])}, {_named(chart.y, series.y[i])}"
        for i in crosses.points
    ]
    look = {"mode": "markers", "marker": looks.cross(series.look), "hoverinfo": "text+name"}
    return {"x": packed(crosses.x), "y": packed(crosses.y), "text": said, **look}


def _said(series: Series, shown: Extent, chart: Chart) -> Plot:
    """Return what is said of each point on hover."""
    if series.texts:
        return {"text": list(series.texts), "hoverinfo": "text+name"}
    if "names" in (shown.x.scale, shown.y.scale):
        pairs = zip(series.x, series.y, strict=True)
        said = [f"{_named(chart.x, x)}: {_named(chart.y, y)}" for x, y in pairs]
        return {"text": said, "hoverinfo": "text+name"}
    if shown.y.scale == "odds" and shown.x.scale != "odds":
        template = f"%{{x:{NUMBER}}}, %{{customdata:{NUMBER}}}"
        return {"customdata": packed(series.y), "hovertemplate": template}
    if shown.x.scale == "odds":
        said = [f"{x:.4g}, {y:.4g}" for x, y in zip(series.x, series.y, strict=True)]
        return {"text": said, "hoverinfo": "text+name"}
    return {"hovertemplate": f"%{{x:{NUMBER}}}, %{{y:{NUMBER}}}"}


def _named(axis: Axis, value: float) -> str:
    names = axis.names
    is_name = axis.scale == "names" and np.isfinite(value) and 0 <= round(value) < len(names)
    return names[round(value)] if is_name else f"{value:.4g}".replace("inf", "∞")
