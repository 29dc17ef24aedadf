from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optlab.report.charts import Axis, Chart, Mark, Series
from optlab.report.charts.extent import extent
from optlab.report.charts.styles import SETTINGS
from optlab.report.pictures.chart import draw_chart
from optlab.report.pictures.heatmap import draw_heatmap
from tests.report.examples import contours, heatmap, learning_curves, losses


def drawn(chart: Chart) -> Axes:
    with matplotlib.rc_context(SETTINGS):
        axes = Figure().subplots()
        draw_chart(axes, chart)
    return axes


def test_axes_go_as_far_as_those_of_the_page_and_have_its_ticks() -> None:
    for chart in (learning_curves(), losses()):
        axes, part = drawn(chart), extent(chart)
        assert axes.get_xlim() == (part.x.low, part.x.high)
        assert axes.get_ylim() == (part.y.low, part.y.high)
        assert (axes.get_xlabel(), axes.get_ylabel()) == (chart.x.title, chart.y.title)
    labels = [label.get_text() for label in drawn(losses()).get_xticklabels()]
    assert labels == ["0.0001", "0.001", "0.01", "0.1", "1"]


def test_infinite_values_are_crosses_and_leave_a_gap() -> None:
    y = np.array([1.0, np.inf, 3.0])
    chart = Chart("a", "", "", Axis("x"), Axis("y"), (Series("a", np.arange(3.0), y),))
    line, cross = drawn(chart).lines
    assert np.isnan(line.get_ydata()[1])
    assert cross.get_marker() == "x"
    assert list(cross.get_xdata()) == [1]


def test_counts_have_whole_ticks() -> None:
    x = np.arange(1.0, 6.0)
    axes = drawn(Chart("a", "", "", Axis("trials"), Axis("y"), (Series("a", x, x),)))
    assert (axes.get_xticks() % 1 == 0).all()


def test_series_that_are_hidden_at_first_are_not_drawn() -> None:
    chart = learning_curves()
    assert len(drawn(chart).lines) == len(chart.series) - 1


def test_bands_end_where_their_line_has_no_value() -> None:
    y = np.array([1.0, 2.0, np.inf])
    series = Series("a", np.arange(3.0), y, y - 1, np.array([2, np.inf, np.inf]))
    axes = drawn(Chart("a", "", "", Axis("x"), Axis("y"), (series,)))
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert corners[:, 0].max() == 1
    assert corners[:, 1].max() == axes.get_ylim()[1]


@pytest.mark.parametrize(("along", "place"), [("x", 0), ("y", 1)])
def test_lines_across_are_where_they_should_be_and_named(along: str, place: int) -> None:
    mark = Mark(0.25, along, "here")  # type: ignore[arg-type]
    axes = drawn(Chart("a", "", "", Axis("x"), Axis("y"), (), (mark,)))
    assert axes.lines[0].get_xydata()[0][place] == 0.25
    assert axes.texts[0].get_text() == "here"


def test_a_field_is_an_image_in_the_right_place() -> None:
    axes = drawn(contours())
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    assert (left, bottom) == pytest.approx((-2 - 2 / 59, -1 - 2 / 49))
    assert (right, top) == pytest.approx((2 + 2 / 59, 3 + 2 / 49))
    assert axes.get_xlim() == (-2, 2)


def test_uneven_fields_are_drawn_too() -> None:
    field = contours().field
    assert field is not None
    chart = replace(contours(), field=replace(field, x=field.x**3))
    assert len(drawn(chart).collections) == 1


def test_the_first_row_of_a_heatmap_is_the_upper_one_and_texts_can_be_read() -> None:
    axes = Figure().subplots()
    figure = heatmap()
    draw_heatmap(axes, figure)
    assert axes.yaxis_inverted()
    assert [label.get_text() for label in axes.get_yticklabels()] == list(figure.y.names)
    colours = {text.get_text(): text.get_color() for text in axes.texts}
    assert colours["0.1"] == "black"  # on the lightest shade
    assert colours["3"] == "white"  # on the darkest
    assert colours["∞"] == "black"  # on none
