"""Parallel coordinates as matplotlib draws them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize

from optlab.report.charts import Array, Parallel
from optlab.report.charts.crossings import BEYOND, crossings
from optlab.report.charts.shades import shades
from optlab.report.charts.styles import LINE_SHADES
from optlab.report.pictures.texts import label, plain

COLOURS = LinearSegmentedColormap.from_list("lines", list(LINE_SHADES))
AXIS, SMALL = "#59616A", 8
FAINT = 40  # lines, beyond which they are let through
BEHIND: dict[str, Any] = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.6}


def draw_parallel(axes: Axes, figure: Parallel) -> None:
    """Draw a line for each cell or run across an axis for each of its values."""
    found = [crossings(axis, figure.values[:, i]) for i, axis in enumerate(figure.axes)]
    count = len(found)
    axes.set(xlim=(-0.1, count - 0.9), ylim=(-BEYOND - 0.05, 1 + BEYOND + 0.05))
    axes.set_axis_off()
    _draw_lines(axes, figure, np.stack([each.places for each in found], 1))
    for place, (axis, each) in enumerate(zip(figure.axes, found, strict=True)):
        axes.plot([place, place], [-BEYOND, 1 + BEYOND], color=AXIS, linewidth=0.8)
        axes.text(place, 1 + BEYOND + 0.1, label(axis.title), ha="center", va="bottom")
        for at, text in each.ticks:
            where: dict[str, Any] = {
                "xy": (place, at),
                "xytext": (-3, 0),
                "textcoords": "offset points",
            }
            axes.annotate(
                label(text), **where, ha="right", va="center", fontsize=SMALL, bbox=BEHIND
            )


def _draw_lines(axes: Axes, figure: Parallel, places: Array) -> None:
    shade = shades(figure.colours)
    even = Normalize(shade.low, shade.high)
    colours = np.nan_to_num(figure.colours, nan=shade.low, posinf=shade.high, neginf=shade.low)
    upward = np.argsort(colours, kind="stable")  # the best lie on top
    places, colours = places[upward], colours[upward]
    points = np.stack(np.broadcast_arrays(np.arange(places.shape[1]), places), -1)
    thin = 0.9 if len(places) <= FAINT else 0.5
    lines = LineCollection(list(points), cmap=COLOURS, norm=even, linewidths=1, alpha=thin)
    lines.set_array(colours)
    axes.add_collection(lines)
    bar = axes.figure.colorbar(lines, ax=axes, aspect=30, pad=0.02)
    bar.set_label(plain(figure.colour_title))
    if bar.solids is not None:
        bar.solids.set(alpha=1)
    bar.outline.set_visible(False)
