"""Parallel coordinates as plotly draws them."""

import numpy as np

from optlab.report.charts import Parallel
from optlab.report.charts.crossings import BEYOND, Crossings, crossings
from optlab.report.charts.shades import shades
from optlab.report.html.arrays import number, packed
from optlab.report.html.chart import bar
from optlab.report.html.traces import Plot

HEIGHT, AXIS, AROUND = 400, 120, 160  # pixels


def plot(figure: Parallel) -> Plot:
    """Return the trace of parallel coordinates; ``width`` is the least in pixels."""
    shade = shades(figure.colours)
    # Plotly draws no line without a colour: what is infinite has that of its end.
    colours = np.nan_to_num(figure.colours, nan=shade.low, posinf=shade.high, neginf=shade.low)
    crossed = [crossings(axis, figure.values[:, place]) for place, axis in enumerate(figure.axes)]
    trace = {
        "type": "parcoords",
        "line": {
            "color": packed(colours),
            "cmin": number(shade.low),
            "cmax": number(shade.high),
            "showscale": True,
            "colorbar": bar(figure.colour_title, ()),
        },
        "dimensions": [
            _dimension(axis.title, found) for axis, found in zip(figure.axes, crossed, strict=True)
        ],
    }
    return {
        "data": [trace],
        "layout": {},
        "height": HEIGHT,
        "width": AROUND + AXIS * len(figure.axes),
    }


def _dimension(title: str, found: Crossings) -> Plot:
    return {
        "label": title,
        "values": packed(found.places),
        "range": [-BEYOND - 0.02, 1 + BEYOND + 0.02],
        "tickvals": [number(at) for at, _ in found.ticks],
        "ticktext": [text for _, text in found.ticks],
    }
