from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from optlab.report.charts import Array, Axis, Chart, Mark, Scale, Series
from optlab.report.charts.extent import MOST_CROSSES, extent
from optlab.report.charts.odds import log_odds
from tests.report.examples import contours

INF, NAN = np.inf, np.nan


def series(y: Sequence[float], x: Sequence[float] | None = None, **rest: object) -> Series:
    places = np.arange(float(len(y))) if x is None else np.array(x, dtype=float)
    return Series("a", places, np.array(y, dtype=float), **rest)  # type: ignore[arg-type]


def chart(*drawn: Series, x: Axis | None = None, y: Axis | None = None, **rest: object) -> Chart:
    axes = (x or Axis("x"), y or Axis("y"))
    return Chart("a", "", "", *axes, drawn, **rest)  # type: ignore[arg-type]


def inside(values: Array, low: float, high: float) -> bool:
    return bool((low <= values).all() and (values <= high).all())


@pytest.mark.parametrize("scale", ["linear", "log", "odds"])
def test_all_that_is_shown_lies_inside_with_little_room_around(scale: Scale) -> None:
    y = np.array([0.02, 0.5, 0.97])
    drawn = series([*y], low=y - 0.01, high=y + 0.01)
    part = extent(chart(drawn, y=Axis("y", scale))).y
    at = part.coordinates(np.array([0.01, 0.98]))
    assert inside(at, part.low, part.high)
    places = np.log10([part.low, *at, part.high]) if scale == "log" else [part.low, *at, part.high]
    assert (np.diff(places)[[0, 2]] < 0.05 * np.ptp(places)).all()


def test_what_is_hidden_at_first_has_no_say() -> None:
    part = extent(chart(series([1, 2]), series([1e9, 1e9], is_shown=False))).y
    assert part.high < 3


def test_where_all_is_hidden_all_have_a_say() -> None:
    assert extent(chart(series([1, 5], is_shown=False))).y.high > 5


def test_given_ends_are_kept_and_lines_across_are_inside() -> None:
    part = extent(chart(series([1, 2]), y=Axis("y", ends=(0, 4)), marks=(Mark(30, "x"),)))
    assert (part.y.low, part.y.high) == (0, 4)
    assert part.x.high > 30


def test_the_first_name_is_the_upper_one() -> None:
    part = extent(chart(series([0, 1]), y=Axis("", "names", ("best", "worst")))).y
    assert (part.low, part.high) == (1.5, -0.5)
    assert part.ticks == ((0.0, "best"), (1.0, "worst"))


def test_accuracies_that_lie_together_are_on_a_linear_axis() -> None:
    axis = Axis("accuracy", "odds")
    assert extent(chart(series([0.96, 0.97]), y=axis)).y.scale == "linear"
    wide = extent(chart(series([0.1, 0.97]), y=axis)).y
    assert wide.scale == "odds"
    assert all(at == pytest.approx(log_odds(np.array(float(text)))) for at, text in wide.ticks)


def test_rates_have_ticks_of_their_own_where_there_is_room() -> None:
    axis = Axis("learning rate", "log")
    rates = [1e-3, 1e-2, 0.1]
    assert [t for _, t in extent(chart(series([1, 2, 3], rates), x=axis)).x.ticks] == [
        "0.001",
        "0.01",
        "0.1",
    ]
    close = [1e-3, 1.1e-3, 0.1]
    assert [t for _, t in extent(chart(series([1, 2, 3], close), x=axis)).x.ticks] == [
        "0.001",
        "0.002",
        "0.005",
        "0.01",
        "0.02",
        "0.05",
        "0.1",
    ]


def test_infinite_values_are_crosses_at_the_edge_apart_from_what_is_drawn() -> None:
    first, second = series([1, 5, INF]), replace(series([2, INF, -INF]), name="b")
    part = extent(chart(first, second))
    up, both = part.crosses
    assert up.points.tolist() == [2]
    assert both.points.tolist() == [1, 2]
    assert inside(np.concatenate([up.y, both.y]), part.y.low, part.y.high)
    assert up.y[0] > both.y[0] > 5
    assert both.y[1] < 1


def test_zero_is_infinitely_far_down_a_logarithmic_axis() -> None:
    part = extent(chart(series([1, 0, 100]), y=Axis("y", "log")))
    assert part.crosses[0].points.tolist() == [1]
    assert part.y.low < part.crosses[0].y[0] < 1


def test_unknown_values_are_no_crosses() -> None:
    assert not len(extent(chart(series([1, NAN, 2], [0, INF, NAN]))).crosses[0].points)


def test_of_a_line_that_stays_infinite_the_first_point_is_shown() -> None:
    y = [1.0] * 5 + [INF] * (MOST_CROSSES + 1)
    assert extent(chart(series(y))).crosses[0].points.tolist() == [5]
    scattered = extent(chart(series(y, kind="points"))).crosses[0]
    assert len(scattered.points) == MOST_CROSSES + 1


@pytest.mark.parametrize("scale", ["linear", "log", "odds"])
@pytest.mark.parametrize("values", [[], [NAN, NAN], [INF], [0.5], [0.0, 0.0], [-1.0]])
def test_every_axis_has_two_ends(scale: Scale, values: list[float]) -> None:
    part = extent(chart(series(values), x=Axis("x", scale), y=Axis("y", scale)))
    for span in (part.x, part.y):
        assert np.isfinite([span.low, span.high]).all()
        assert span.low < span.high


def test_losses_as_large_as_a_float_can_be_have_an_axis() -> None:
    span = extent(chart(series([1e-300, 1e300, INF]), y=Axis("loss", "log"))).y
    assert 0 < span.low < 1e-300 < 1e300 < span.high < INF
    assert all(span.low <= at <= span.high for at, _ in span.ticks)


def test_a_field_is_what_is_shown_however_far_a_path_leaves_it() -> None:
    away = series([0, 1e9], [0, 1e9])
    part = extent(replace(contours(), series=(away,)))
    assert (part.x.low, part.x.high, part.y.low, part.y.high) == (-2, 2, -1, 3)
