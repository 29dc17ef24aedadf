"""What each kind of figure becomes for plotly."""

import json
from typing import Any

import numpy as np
import pytest

from optlab.report.charts import Array, Axis, Chart, Figure, Mark, Panels, Series, Views
from optlab.report.html.figures import data, drawn, height, legend
from optlab.report.html.traces import Plot
from tests.report import examples
from tests.report.html.test_arrays import unpacked


def values(packed: Any) -> Array:
    if isinstance(packed, dict):
        return unpacked(packed)
    return np.array([np.nan if value is None else value for value in packed], dtype=float)


def traces(figure: Figure) -> list[Plot]:
    found: list[Plot] = drawn(figure)["plots"][0]["data"]
    return found


def chart(*series: Series, x: Axis | None = None, y: Axis | None = None, **rest: object) -> Chart:
    return Chart("a", "", "", x or Axis("x"), y or Axis("y"), series, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("figure", examples.figures(), ids=lambda figure: figure.name)
def test_every_kind_of_figure_is_json_of_some_height(figure: Figure) -> None:
    spec = data(figure)
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    assert height(spec) >= 160


def test_a_line_has_a_band_around_each_stretch_below_it() -> None:
    x, y = np.arange(5.0), np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    band, line = traces(chart(Series("a", x, y, y - 1, y + 1)))
    np.testing.assert_array_equal(values(line["y"]), y)
    np.testing.assert_array_equal(values(band["y"]), [2, 3, 1, 0, np.nan, 5, 6, 4, 3])
    assert band["name"] == line["name"] == "a"


def test_a_band_without_an_end_goes_to_the_edge_and_none_is_where_there_is_no_value() -> None:
    y = np.array([1.0, 2.0, np.inf])
    high = np.array([2.0, np.inf, np.inf])
    spec = drawn(chart(Series("a", np.arange(3.0), y, y - 1, high)))["plots"][0]
    band, _, cross = spec["data"]
    edge = spec["layout"]["yaxis"]["range"][1]
    np.testing.assert_allclose(values(band["y"]), [2, edge, 1, 0])
    assert values(cross["x"]).tolist() == [2]


def test_steps_stay_until_the_next_point_and_so_do_their_bands() -> None:
    x, y = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    band, line = traces(chart(Series("a", x, y, y - 1, y, kind="steps")))
    assert line["line"]["shape"] == "hv"
    assert values(band["x"]).tolist() == [0, 1, 1, 1, 1, 0]
    assert values(band["y"]).tolist() == [1, 1, 2, 1, 0, 0]


def test_points_have_intervals_both_ways() -> None:
    at = np.array([1.0, 2.0])
    series = Series("a", at, at, at - 0.1, at + 0.2, at - 0.3, at + 0.4, kind="points")
    (points,) = traces(chart(series))
    for name, below, above in (("error_y", 0.1, 0.2), ("error_x", 0.3, 0.4)):
        np.testing.assert_allclose(values(points[name]["arrayminus"]), below)
        np.testing.assert_allclose(values(points[name]["array"]), above)


def test_on_log_odds_the_reader_is_told_the_accuracy() -> None:
    y = np.array([0.1, 0.5, 0.98])
    spec = drawn(chart(Series("a", np.arange(3.0), y), y=Axis("accuracy", "odds")))["plots"][0]
    (line,) = spec["data"]
    np.testing.assert_allclose(values(line["customdata"]), y)
    assert "customdata" in line["hovertemplate"]
    ticks = dict(
        zip(spec["layout"]["yaxis"]["ticktext"], spec["layout"]["yaxis"]["tickvals"], strict=True)
    )
    assert ticks["0.5"] == pytest.approx(values(line["y"])[1])


def test_a_loss_can_be_switched_to_a_logarithm_and_back() -> None:
    for scale, other in (("linear", "log"), ("log", "linear")):
        series = Series("a", np.arange(3.0), np.array([0.01, 1, 100]))
        axis = Axis("loss", scale)  # type: ignore[arg-type]
        plot = drawn(chart(series, y=axis, can_be_log=True))["plots"][0]
        assert plot["layout"]["yaxis"]["type"] == scale
        assert plot["others"]["yaxis"]["type"] == other
        low, high = plot["others"]["yaxis"]["range"]
        assert (low, high) == pytest.approx((-2, 2) if other == "log" else (0, 100), abs=5)
    negative = Series("a", np.arange(2.0), np.array([-1.0, -2.0]))
    assert drawn(chart(negative, can_be_log=True))["plots"][0]["others"] == {}


def test_what_a_run_cost_can_be_switched_to_a_logarithm() -> None:
    series = Series("a", np.array([0.0, 1, 10, 1000]), np.array([4.0, 3, 2, 1]))
    plot = drawn(chart(series, x_can_be_log=True))["plots"][0]
    across = plot["others"]["xaxis"]
    assert (plot["layout"]["xaxis"]["type"], across["type"]) == ("linear", "log")
    low, high = across["range"]
    assert low <= 0 <= 3 <= high  # powers of ten: 1 to 1000, without the 0
    assert low > -1
    assert high < 4


def test_lines_across_are_named_beside() -> None:
    mark = Mark(0.5, "x", "default")
    layout = drawn(chart(Series("a", np.arange(2.0), np.arange(2.0)), marks=(mark,)))["plots"][0][
        "layout"
    ]
    assert layout["shapes"][0]["x0"] == layout["shapes"][0]["x1"] == 0.5
    assert layout["annotations"][0]["text"] == "default"


def test_a_legend_has_a_name_once_and_hides_what_is_hidden_in_all() -> None:
    one = np.zeros(1)
    series = [
        Series("a", one, one, is_shown=False),
        Series("b", one, one, is_shown=False),
        Series("", one, one),
        Series("a", one, one),
    ]
    assert [(e["name"], e["shown"]) for e in legend(series)] == [("a", True), ("b", False)]


@pytest.mark.parametrize(("x", "step"), [((0.0, 4.0), 1), ((0.0, 3.5), None), ((0.0, 40.0), None)])
def test_few_counts_have_whole_ticks(x: tuple[float, float], step: int | None) -> None:
    series = Series("a", np.array(x), np.zeros(2))
    (plot,) = drawn(Chart("a", "", "", Axis("epochs"), Axis("y"), (series,)))["plots"]
    assert plot["layout"]["xaxis"].get("dtick") == step


def test_unknown_and_infinite_places_of_a_heatmap_have_their_texts_alone() -> None:
    plot = drawn(examples.heatmap())["plots"][0]
    (trace,) = plot["data"]
    assert np.isnan([row for row in map(values, trace["z"])][1][2])
    (note,) = plot["layout"]["annotations"]
    assert (note["x"], note["y"], note["text"]) == (2, 1, "∞")
    assert trace["text"][1][2] == "", "written once"
    assert trace["customdata"][1][2].endswith(": ∞"), "said on hover"


def test_parallel_lines_all_have_a_place_and_a_colour() -> None:
    (trace,) = traces(examples.parallel())
    for dimension in trace["dimensions"]:
        assert np.isfinite(values(dimension["values"])).all()
    assert np.isfinite(values(trace["line"]["color"])).all()


@pytest.mark.parametrize("figure", [Panels("a", "", "", ()), Views("a", "", "")])
def test_a_figure_of_nothing_is_nothing(figure: Figure) -> None:
    assert data(figure)["plots"] == []
    assert height(data(figure)) == 0


def test_what_lies_behind_several_panels_is_there_once() -> None:
    figure = examples.landscapes()
    spec = data(Views("v", "", "", {"one": figure, "other": figure}))
    assert len(spec["fields"]) == 1
    assert all(plot["field"] == 0 for view in spec["views"] for plot in view["plots"])
    assert len(json.dumps(spec)) < 0.5 * len(json.dumps(drawn(figure)))
