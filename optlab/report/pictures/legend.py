"""The legend below a picture: a line for each name, in as few rows as fit its width."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import rcParams
from matplotlib.figure import Figure as Drawing
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from optlab.loggers.live_line import cut
from optlab.report.charts import Chart, Series
from optlab.report.charts.styles import GREY
from optlab.report.pictures.texts import unhidden

MOST_ENTRIES, MOST_CHARACTERS = 24, 60
KEY, ROW = 0.62, 0.19  # inches
POINTS_PER_INCH = 72
SPACING = {"handlelength": 2.4, "columnspacing": 1.5}  # what a key's width is made of


def draw_legend(drawing: Drawing, charts: Sequence[Chart], width: float) -> None:
    """Draw the legend of charts below them, if any of their series has a name."""
    entries = _entries(charts)
    if entries:
        columns = _num_columns(entries, width)
        drawing.legend(handles=entries, ncols=columns, loc="outside lower center", **SPACING)


def legend_height(charts: Sequence[Chart], width: float) -> float:
    """Return the height of the legend in inches."""
    entries = _entries(charts)
    return ROW * math.ceil(len(entries) / _num_columns(entries, width)) if entries else 0.0


def shown(chart: Chart) -> list[Series]:
    """Return the series that a picture shows: those that the page shows at first."""
    return [series for series in chart.series if series.is_shown] or list(chart.series)


def _entries(charts: Sequence[Chart]) -> list[Line2D]:
    series = [each for chart in charts for each in shown(chart) if each.name]
    named = {each.name: _entry(each) for each in reversed(series)}
    names = list(dict.fromkeys(each.name for each in series))
    rest = len(names) - MOST_ENTRIES
    more = [Line2D([], [], color=GREY, label=f"{rest} more")] if rest > 0 else []
    return [named[name] for name in names[:MOST_ENTRIES]] + more


def _entry(series: Series) -> Line2D:
    look = series.look.of_line
    if series.kind == "points":
        look |= {"linestyle": "", "marker": series.look.marker or "o"}
    return Line2D([], [], **look, label=unhidden(cut(series.name, MOST_CHARACTERS)))


def _num_columns(entries: Sequence[Line2D], width: float) -> int:
    """Return the number of columns for as few rows as fit the width."""
    widths = [KEY + _text_width(str(entry.get_label())) for entry in entries]
    fitting = [n for n in range(1, len(widths) + 1) if _width(widths, n) <= width]
    rows = math.ceil(len(widths) / max(fitting, default=1))
    return math.ceil(len(widths) / rows)


def _width(widths: Sequence[float], columns: int) -> float:
    return sum(float(part.max()) for part in np.array_split(np.array(widths), columns))


def _text_width(text: str) -> float:
    font = FontProperties(size=rcParams["legend.fontsize"])
    measured = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(measured[0]) / POINTS_PER_INCH
