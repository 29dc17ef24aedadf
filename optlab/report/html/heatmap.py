"""A heatmap as plotly draws it."""

import numpy as np

from optlab.report.charts import Heatmap
from optlab.report.charts.shades import shades
from optlab.report.html.arrays import number, packed
from optlab.report.html.chart import bar
from optlab.report.html.traces import Plot

ROW, COLUMN, AROUND = 34, 58, 150  # pixels


def plot(figure: Heatmap) -> Plot:
    """Return the trace and the layout of a heatmap; places without a shade have their text alone.

    Beside what `optlab.report.html.chart.plot` has, ``width`` is the least in pixels.
    """
    rows, columns = figure.values.shape
    shade = shades(figure.values, figure.is_log, figure.middle)
    blank = np.isnan(shade.places)
    trace = {
        "type": "heatmap",
        "z": packed(shade.places),
        "zmin": number(shade.low),
        "zmax": number(shade.high),
        "map": "shades" if figure.middle is None else "sides",  # read by figures.js alone
        # Plotly's own text would be unreadable without a shade: `_blank` writes those.
        "text": [
            ["" if is_blank else text for text, is_blank in zip(*pair, strict=True)]
            for pair in zip(figure.texts, blank, strict=True)
        ],
        "texttemplate": "%{text}",
        "customdata": _said(figure),
        "hovertemplate": "%{customdata}",
        "xgap": 2,
        "ygap": 2,
        "colorbar": bar(figure.value_title, shade.ticks),
    }
    layout = {
        "xaxis": _axis(figure.x.title, figure.x.names, columns),
        "yaxis": _axis(figure.y.title, figure.y.names, rows) | {"range": [rows - 0.5, -0.5]},
        "annotations": _blank(figure, blank),
    }
    size = {"height": AROUND + ROW * rows, "width": AROUND + COLUMN * columns}
    return {"data": [trace], "layout": layout, **size}


def _axis(title: str, names: tuple[str, ...], count: int) -> Plot:
    ticks = {"tickvals": list(range(count)), "ticktext": list(names), "named": True}
    return {"title": {"text": title}, "range": [-0.5, count - 0.5], "showgrid": False, **ticks}


def _said(figure: Heatmap) -> list[list[str]]:
    return [
        [f"{upper}, {across}: {text}" for across, text in zip(figure.x.names, row, strict=True)]
        for upper, row in zip(figure.y.names, figure.texts, strict=True)
    ]


def _blank(figure: Heatmap, is_blank: np.ndarray[tuple[int, ...], np.dtype[np.bool]]) -> list[Plot]:
    return [
        {"x": int(column), "y": int(row), "text": figure.texts[row][column], "showarrow": False}
        for row, column in zip(*np.nonzero(is_blank), strict=True)
        if figure.texts[row][column]
    ]
