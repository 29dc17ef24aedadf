"""Figures as data for ``figures.js``: what each plot shows, and the legend that they share."""

import json
import math
from typing import Any

from optlab.report.charts import Chart, Figure, Heatmap, Panels, Parallel, Series, Views
from optlab.report.html import chart, heatmap, looks, parallel

PANEL_HEIGHT = 250


def drawn(figure: Figure) -> dict[str, Any]:
    """Return what is drawn of a figure.

    A figure of several views has ``views``, which are such dicts with a ``label``, and ``kind``.
    Any other has ``plots``, the ``columns`` that they stand in, and a ``legend`` whose entries are
    called as the traces are.
    """
    match figure:
        case Views() if figure.choices:
            views = [drawn(each) | {"label": label} for label, each in figure.choices.items()]
            return {"views": views, "kind": figure.kind}
        case Panels():
            plots = [_panel(each) for each in figure.charts]
            series = [each for one in figure.charts for each in one.series]
            return {"plots": plots, "columns": figure.columns, "legend": legend(series)}
        case Chart():
            return {"plots": [chart.plot(figure)], "columns": 1, "legend": legend(figure.series)}
        case Heatmap():
            return {"plots": [heatmap.plot(figure)], "columns": 1, "legend": []}
        case Parallel():
            return {"plots": [parallel.plot(figure)], "columns": 1, "legend": []}
        case Views():
            return {"plots": [], "columns": 1, "legend": []}


def data(figure: Figure) -> dict[str, Any]:
    """Return what is `drawn` of a figure, with what lies behind several plots once.

    Such plots have the number of theirs among ``fields`` as ``field``.
    """
    spec = drawn(figure)
    fields: dict[str, int] = {}
    for view in spec.get("views", [spec]):
        for plot in view["plots"]:
            behind = [trace for trace in plot["data"] if trace["type"] == "contour"]
            plot["data"] = [trace for trace in plot["data"] if trace["type"] != "contour"]
            for trace in behind:
                plot["field"] = fields.setdefault(json.dumps(trace), len(fields))
    return spec | ({"fields": [json.loads(text) for text in fields]} if fields else {})


def height(spec: dict[str, Any]) -> int:
    """Return about how many pixels a figure takes, so that a page does not move as it is drawn."""
    if "views" in spec:
        return max((height(view) for view in spec["views"]), default=0)
    columns: int = spec["columns"]
    rows = math.ceil(len(spec["plots"]) / columns)
    return rows * max((int(plot["height"]) for plot in spec["plots"]), default=0)


def legend(series: list[Series] | tuple[Series, ...]) -> list[dict[str, Any]]:
    """Return an entry for each name, in order; one is hidden where all of its series are."""
    entries: dict[str, dict[str, Any]] = {}
    for each in series:
        if each.name:
            entry = entries.setdefault(each.name, _entry(each))
            entry["shown"] = entry["shown"] or each.is_shown
    return list(entries.values())


def _entry(series: Series) -> dict[str, Any]:
    is_line = series.kind != "points"
    return {
        "name": series.name,
        "color": series.look.color,
        "dash": looks.dash(series.look) if is_line else "",
        "symbol": looks.SYMBOLS.get(series.look.marker, "" if is_line else "circle"),
        "shown": series.is_shown,
    }


def _panel(each: Chart) -> dict[str, Any]:
    plot = chart.plot(each)
    tall = plot["layout"]["yaxis"].get("named")
    return plot | {"title": each.title, "height": plot["height"] if tall else PANEL_HEIGHT}
