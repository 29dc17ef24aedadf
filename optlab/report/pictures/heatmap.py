"""A heatmap as matplotlib draws it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap, Normalize

from optlab.report.charts import Array, Heatmap
from optlab.report.charts.shades import Shades, shades
from optlab.report.charts.styles import SHADES, TWO_SIDED
from optlab.report.pictures.texts import label, plain

LETTER, ROW = 0.075, 0.32  # inches: of a letter, and the height of a row
LEAST, SHORT = 0.6, 1.0  # widths of a column, and for the sake of its name
BLANK = "#F0EFEA"
SMALL = 8
LIGHT = 0.35  # luminance of what dark text is read on


def heatmap_size(figure: Heatmap) -> tuple[float, float]:
    """Return the width and the height in inches."""
    rows, columns = figure.values.shape
    beside = LETTER * max((len(label(name)) for name in figure.y.names), default=0)
    slant = 0.5 * LETTER * _longest(figure) if _is_slanted(figure) else 0.0
    return 1.8 + beside + _column(figure) * columns, 1.1 + slant + ROW * rows


def draw_heatmap(axes: Axes, figure: Heatmap) -> None:
    """Draw a heatmap with a text in each place; those without a shade have their text alone."""
    shade = shades(figure.values, figure.is_log, figure.middle)
    stops = SHADES if figure.middle is None else TWO_SIDED
    colours = LinearSegmentedColormap.from_list("shades", list(stops))
    even = Normalize(shade.low, shade.high)
    places = np.ma.masked_invalid(shade.places)
    mesh = axes.pcolormesh(places, cmap=colours, norm=even, edgecolor="white", linewidth=1.5)
    axes.set_facecolor(BLANK)
    _set_axes(axes, figure)
    for (row, column), luminance in np.ndenumerate(_luminance(colours(even(places)))):
        is_dark = luminance < LIGHT and np.isfinite(shade.places[row, column])
        text = plain(figure.texts[row][column])
        look: dict[str, Any] = {"color": "white" if is_dark else "black", "fontsize": SMALL}
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", **look)
    _draw_bar(axes, mesh, figure, shade)


def _set_axes(axes: Axes, figure: Heatmap) -> None:
    rows, columns = figure.values.shape
    axes.set(xlim=(0, max(columns, 1)), ylim=(max(rows, 1), 0), xlabel=plain(figure.x.title))
    axes.set_ylabel(plain(figure.y.title))
    axes.set_xticks(np.arange(columns) + 0.5, [label(name) for name in figure.x.names])
    axes.set_yticks(np.arange(rows) + 0.5, [label(name) for name in figure.y.names])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if _is_slanted(figure):
        axes.tick_params("x", rotation=30)
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")


def _draw_bar(axes: Axes, mesh: QuadMesh, figure: Heatmap, shade: Shades) -> None:
    bar = axes.figure.colorbar(mesh, ax=axes, aspect=20, pad=0.02)
    bar.set_label(plain(figure.value_title))
    bar.outline.set_visible(False)
    if shade.ticks:
        bar.set_ticks([at for at, _ in shade.ticks], labels=[text for _, text in shade.ticks])


def _column(figure: Heatmap) -> float:
    """Return the width of a column, which holds its longest text, and its name if that is short."""
    texts = max((len(text) for row in figure.texts for text in row), default=0)
    return max(LEAST, LETTER * (texts + 1), min(SHORT, LETTER * (_longest(figure) + 1)))


def _is_slanted(figure: Heatmap) -> bool:
    return LETTER * _longest(figure) > _column(figure)


def _longest(figure: Heatmap) -> int:
    """Return the number of characters of the longest name of a column."""
    return max((len(label(name)) for name in figure.x.names), default=0)


def _luminance(colours: Array) -> Array:
    """Return the relative luminance of colours, which decides what is read on them (WCAG 2.1)."""
    rgb = colours[..., :3]
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))
