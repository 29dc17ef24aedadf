"""The picture of a ranking: how the best cells learn, and how much the learning rate matters.

One row per group of comparable cells. Left, the validation curve of the best cell of each
optimizer: mean over seeds, band from the lowest to the highest. Right, the best mean over cells at
each learning rate, by optimizer, where rates vary; else the 95 % interval of each cell. Below them
one legend for both.
"""

import io
import math
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from optlab.report.cells import Cell, Ranking, best_by_optimizer
from optlab.report.charts.styles import GREY, SETTINGS, Style, styles
from optlab.report.measures.curves import Curves
from optlab.report.pictures.overview_panels import (
    best_by_rate,
    draw_curves,
    draw_intervals,
    draw_sensitivity,
)
from optlab.results import write_atomic

WIDTH, DOTS_PER_INCH = 9.0, 200
PANELS, LEGEND_LINE = 3.5, 0.2  # heights in inches
MAX_GROUPS = 4
LINE_CHARACTERS, KEY_CHARACTERS = 135, 11  # of a legend's whole line, and of a line beside a label


def write_figure(path: str | Path, ranking: Ranking, curves: Curves) -> None:
    """Draw the ranking and write it as a PNG of 1800 pixels' width."""
    content = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        draw(ranking, curves).savefig(content, format="png")
    write_atomic(path, content.getvalue())


def draw(ranking: Ranking, curves: Curves) -> Figure:
    """Return the picture, to be saved under the same settings as it was drawn under.

    No pyplot: there is no display and no global state.
    """
    ranked = ranking.ranked or ranking.groups
    groups = dict(list(ranked.items())[:MAX_GROUPS])
    best = {name: best_by_optimizer(cells) for name, cells in groups.items()}
    looks = styles(optimizer for cells in best.values() for optimizer in cells)
    entries = {name: _entries(cells, looks) for name, cells in best.items()}
    heights = [PANELS + LEGEND_LINE * _num_lines(e) for e in entries.values()]
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=DOTS_PER_INCH, layout="constrained")
    rows = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for row, name in zip(rows, groups, strict=True):
        _draw_group(row, name, ranking, curves, looks)
        own = entries[name]
        row.legend(handles=own, ncols=_num_columns(own), loc="outside lower center")
    if len(groups) < len(ranked):
        left_out = len(ranked) - len(groups)
        figure.supxlabel(f"... and {left_out} more groups in report.csv", fontsize="medium")
    return figure


def _draw_group(
    row: SubFigure, name: str, ranking: Ranking, curves: Curves, looks: Mapping[str, Style]
) -> None:
    left, right = row.subplots(1, 2)
    metric = ranking.metrics[name]
    own = {optimizer: curve for (group, optimizer), curve in curves.items() if group == name}
    draw_curves(left, own, looks, metric)
    cells = ranking.groups[name]
    if by_rate := best_by_rate(cells):
        draw_sensitivity(right, by_rate, looks, metric)
    else:
        draw_intervals(right, cells, looks, metric)
    if name:
        row.suptitle(name)


def _entries(best: Mapping[str, Cell], looks: Mapping[str, Style]) -> list[Line2D]:
    """Return the legend's entries, the best first, what is grey in one."""
    own = [optimizer for optimizer in best if looks[optimizer].marker]
    lines = [Line2D([], [], **looks[name].of_line, label=best[name].label) for name in own]
    rest = len(best) - len(own)
    return lines + [Line2D([], [], color=GREY, label=f"{rest} more")] * (rest > 0)


def _num_columns(entries: list[Line2D]) -> int:
    """Return the number of columns that the legend needs for as few lines as fit the width."""
    lengths = [len(str(entry.get_label())) for entry in entries]
    fitting = [n for n in range(1, len(lengths) + 1) if _width(lengths, n) <= LINE_CHARACTERS]
    num_lines = math.ceil(len(lengths) / max(fitting, default=1))
    return math.ceil(len(lengths) / num_lines)


def _width(lengths: list[int], num_columns: int) -> int:
    columns = np.array_split(lengths, num_columns)
    return sum(int(column.max()) + KEY_CHARACTERS for column in columns)


def _num_lines(entries: list[Line2D]) -> int:
    return math.ceil(len(entries) / _num_columns(entries))
