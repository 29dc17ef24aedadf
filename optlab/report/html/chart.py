"""A chart as plotly draws it."""

from dataclasses import replace

import numpy as np

from optlab.report.charts import Axis, Chart, Field, Mark, Scale
from optlab.report.charts.extent import Extent, Span, extent
from optlab.report.charts.round_ticks import Ticks
from optlab.report.charts.shades import shades
from optlab.report.html.arrays import number, packed
from optlab.report.html.traces import Plot, traces

HEIGHT, ROW = 380, 24  # pixels
FEW = 6  # counts on an axis, below which there would be ticks between them


def plot(chart: Chart) -> Plot:
    """Return the traces and the layout of a chart.

    Of the plot, ``data`` and ``layout`` are plotly's; ``height`` is in pixels; ``others`` are the
    axes that its switches go to, of those that have one.
    """
    shown = extent(chart)
    data = [_field(chart.field)] if chart.field else []
    for series, crosses in zip(chart.series, shown.crosses, strict=True):
        data += traces(series, shown, crosses, chart)
    layout = {
        "xaxis": _axis(chart.x, shown.x) | _whole(chart, shown.x),
        "yaxis": _axis(chart.y, shown.y),
        "shapes": [_line(mark, shown) for mark in chart.marks],
        "annotations": [_beside(mark, shown) for mark in chart.marks if mark.text],
    }
    rows = len(chart.y.names) if shown.y.scale == "names" else 0
    height = max(90 + ROW * rows, 160) if rows else HEIGHT
    return {"data": data, "layout": layout, "height": height, "others": _others(chart, shown)}


def _axis(axis: Axis, span: Span) -> Plot:
    kind = "log" if span.scale == "log" else "linear"
    drawn: Plot = {"title": {"text": axis.title}, "type": kind, "range": _range(span)}
    if span.ticks or span.scale == "names":
        drawn |= _ticks(span.ticks)
    if span.scale == "names":
        drawn["named"] = True  # read by figures.js alone
    return drawn


def _whole(chart: Chart, span: Span) -> Plot:
    """Return a step of 1 between the ticks of few counts, such as epochs."""
    if span.scale != "linear" or span.high - span.low > FEW:
        return {}
    across = np.concatenate([np.empty(0), *(series.x for series in chart.series)])
    across = across[np.isfinite(across)]
    return {"dtick": 1} if len(across) and (across % 1 == 0).all() else {}


def _ticks(ticks: Ticks) -> Plot:
    return {"tickvals": [number(t[0]) for t in ticks], "ticktext": [t[1] for t in ticks]}


def _range(span: Span) -> list[float | int | None]:
    ends = np.array([span.low, span.high])
    return [number(float(end)) for end in (np.log10(ends) if span.scale == "log" else ends)]


def _others(chart: Chart, shown: Extent) -> Plot:
    """Return the axes on the scales that the reader may switch to."""
    found: Plot = {}
    if chart.can_be_log and (scale := _other(shown.y)):
        of_y = extent(replace(chart, y=replace(chart.y, scale=scale, ends=None))).y
        found |= _switched("yaxis", shown.y, of_y)
    if chart.x_can_be_log and (scale := _other(shown.x)):
        of_x = extent(replace(chart, x=replace(chart.x, scale=scale, ends=None))).x
        found |= _switched("xaxis", shown.x, of_x)
    return found


def _other(span: Span) -> Scale | None:
    if span.scale in ("odds", "names"):
        return None
    return "linear" if span.scale == "log" else "log"


def _switched(name: str, before: Span, after: Span) -> Plot:
    if after.scale == before.scale:
        return {}  # there is nothing that a logarithm could show
    ticks = _ticks(after.ticks) if after.ticks else {"tickvals": None, "ticktext": None}
    return {name: {"type": after.scale, "range": _range(after), "dtick": None, **ticks}}


def _line(mark: Mark, shown: Extent) -> Plot:
    at = _place(mark, shown)
    across = "y" if mark.along == "x" else "x"
    ends = {f"{across}0": 0, f"{across}1": 1, f"{across}ref": "paper"}
    return {"type": "line", f"{mark.along}0": at, f"{mark.along}1": at, **ends}


def _beside(mark: Mark, shown: Extent) -> Plot:
    at = _place(mark, shown)
    if mark.along == "x":
        place = {"x": at, "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "top"}
    else:
        place = {"y": at, "x": 1, "xref": "paper", "xanchor": "right", "yanchor": "bottom"}
    return {"text": mark.text, "showarrow": False, **place}


def _place(mark: Mark, shown: Extent) -> float | int | None:
    span = shown.x if mark.along == "x" else shown.y
    return number(float(span.coordinates(np.array([mark.at]))[0]))


def _field(field: Field) -> Plot:
    shade = shades(field.values, field.is_log)
    trace: Plot = {
        "type": "contour",
        "x": packed(field.x),
        "y": packed(field.y),
        "z": packed(shade.places),
        "zmin": number(shade.low),
        "zmax": number(shade.high),
        "ncontours": 24,
        "hoverinfo": "skip",
        "colorbar": bar(field.title, shade.ticks),
    }
    return trace


def bar(title: str, ticks: Ticks) -> Plot:
    """Return the bar beside a colour map."""
    return {"title": {"text": title, "side": "right"}, **(_ticks(ticks) if ticks else {})}
