"""A figure as matplotlib draws it. No pyplot: there is no display and no global state."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from optlab.report.charts import Chart, Figure, Heatmap, Panels, Parallel
from optlab.report.pictures.chart import draw_chart
from optlab.report.pictures.field import draw_bar, is_shared
from optlab.report.pictures.heatmap import draw_heatmap, heatmap_size
from optlab.report.pictures.legend import draw_legend, legend_height
from optlab.report.pictures.parallel import draw_parallel
from optlab.report.pictures.texts import wrapped

WIDTH, HEIGHT = 6.5, 3.6  # inches, of a chart
PANEL_WIDTH, PANEL_HEIGHT = 2.6, 2.3
PANEL_TITLE = 29  # characters
MOST_TICKS = 4  # of an axis of a panel
LETTER = 0.085  # inches, of a title
AXIS, AROUND = 1.5, 1.6  # widths of parallel coordinates
ROW, AROUND_ROWS = 0.24, 1.0  # heights of a chart with a row for each name


def draw(figure: Figure) -> Drawing:
    """Return the picture of a figure, to be saved under the settings it was drawn under."""
    match figure:
        case Panels():
            return _panels(figure)
        case Chart():
            return _chart(figure)
        case Heatmap():
            drawing = _drawing(*heatmap_size(figure))
            draw_heatmap(drawing.subplots(), figure)
        case Parallel():
            drawing = _drawing(AROUND + AXIS * len(figure.axes), HEIGHT)
            draw_parallel(drawing.subplots(), figure)
        case _:
            raise AssertionError("views are drawn one by one")
    _title(drawing, figure.title)
    return drawing


def _chart(chart: Chart) -> Drawing:
    drawing = _drawing(WIDTH, _height(chart, HEIGHT) + legend_height([chart], WIDTH))
    axes = drawing.subplots()
    filled = draw_chart(axes, chart)
    if chart.field and filled:
        draw_bar([axes], chart.field, filled)
    draw_legend(drawing, [chart], WIDTH)
    _title(drawing, chart.title)
    return drawing


def _panels(panels: Panels) -> Drawing:
    columns = max(1, min(panels.columns, len(panels.charts)))
    rows = max(1, math.ceil(len(panels.charts) / columns))
    width = max(PANEL_WIDTH * columns, WIDTH if columns > 1 else 0)
    heights = [_height(chart, PANEL_HEIGHT) for chart in panels.charts]
    height = rows * max(heights, default=PANEL_HEIGHT)
    drawing = _drawing(width, height + legend_height(panels.charts, width))
    grid = drawing.subplots(rows, columns, squeeze=False).ravel()
    _draw_panels(list(grid), panels)
    _label_outer(list(grid[: len(panels.charts)]), columns)
    for axes in grid[len(panels.charts) :]:
        axes.set_axis_off()
    draw_legend(drawing, panels.charts, width)
    _title(drawing, panels.title)
    return drawing


def _draw_panels(grid: list[Axes], panels: Panels) -> None:
    one = is_shared([chart.field for chart in panels.charts])
    for place, (axes, chart) in enumerate(zip(grid, panels.charts, strict=False)):
        filled = draw_chart(axes, chart, MOST_TICKS)
        axes.set_title(wrapped(chart.title, PANEL_TITLE))
        if chart.field and filled and not (one and place):
            rows = math.ceil(len(grid) / panels.columns) if one else 1
            draw_bar(grid if one else [axes], chart.field, filled, rows)


def _label_outer(grid: list[Axes], columns: int) -> None:
    """Leave out what the panel below or to the left says already, where all have the same axes."""
    across = {(axes.get_xlim(), axes.get_xlabel(), axes.get_xscale()) for axes in grid}
    upward = {(axes.get_ylim(), axes.get_ylabel(), axes.get_yscale()) for axes in grid}
    for place, axes in enumerate(grid):
        if len(across) == 1 and place + columns < len(grid):
            axes.set_xlabel("")
            axes.tick_params("x", labelbottom=False)
        if len(upward) == 1 and place % columns:
            axes.set_ylabel("")
            axes.tick_params("y", labelleft=False)


def _drawing(width: float, height: float) -> Drawing:
    return Drawing(figsize=(width, height), layout="constrained")


def _title(drawing: Drawing, title: str) -> None:
    width = int(drawing.get_figwidth() / LETTER)
    drawing.suptitle(wrapped(title, width), x=0.01, ha="left")


def _height(chart: Chart, usual: float) -> float:
    names = len(chart.y.names) if chart.y.scale == "names" else 0
    return max(AROUND_ROWS + ROW * names, 1.6) if names else usual
