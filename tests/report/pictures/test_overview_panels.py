import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optlab.report.cells import ENDS, Cell, Estimate
from optlab.report.charts.styles import styles
from optlab.report.measures.curves import Band
from optlab.report.pictures.overview_panels import (
    LABEL_CHARACTERS,
    best_by_rate,
    draw_curves,
    draw_intervals,
    draw_sensitivity,
)

EPOCHS = np.arange(30.0)


@pytest.fixture
def axes() -> Axes:
    return Figure().subplots()


def cell(value: float, half: float = 0.1, **key: Any) -> Cell:
    val = Estimate(value, 0.05, value - half, value + half)
    return Cell(1, {f"optimizer.{n}": v for n, v in key.items()}, "accuracy",
                f"{value:g}", 2, dict.fromkeys(ENDS, 0), val, val, 1.0, 1.0)  # fmt: skip


def band(mean: float) -> Band:
    curve = mean + 0.1 * np.sin(EPOCHS)
    return Band(EPOCHS, curve, curve - 0.05, curve + 0.05)


def lines(axes: Axes) -> dict[Any, np.ndarray]:
    return {line.get_color(): np.array(line.get_xydata()) for line in axes.lines}


def test_sensitivity_takes_the_best_cell_at_each_rate_in_order_of_rate() -> None:
    values = {(0.01, "he"): 0.9, (0.01, "xavier"): 0.8, (0.1, "xavier"): 0.7, (0.1, "he"): 0.5}
    best_first = [cell(value, name="adam", lr=lr, init=i) for (lr, i), value in values.items()]
    assert best_by_rate(best_first) == {"adam": {0.01: 0.9, 0.1: 0.7}}


def test_a_rate_at_which_runs_diverge_stays_in_the_sensitivity() -> None:
    cells = [cell(0.5, name="adam", lr=0.01), cell(math.inf, name="adam", lr=1)]
    assert best_by_rate(cells) == {"adam": {0.01: 0.5, 1.0: math.inf}}


@pytest.mark.parametrize("rate", [None, 0.0, "auto"])
def test_what_has_no_place_on_a_log_axis_is_not_in_the_sensitivity(rate: Any) -> None:
    cells = [cell(0.9, name="adam", lr=0.1), cell(0.8, name="adam", lr=rate)]
    assert best_by_rate(cells) == {"adam": {0.1: 0.9}}


def test_curves_are_drawn_with_their_range_and_the_best_on_top(axes: Axes) -> None:
    looks = styles(["adam", "sgd"])
    draw_curves(axes, {"sgd": band(0.9), "adam": band(0.5)}, looks, "accuracy")
    assert [line.get_color() for line in axes.lines] == [looks["adam"].color, looks["sgd"].color]
    np.testing.assert_array_equal(lines(axes)[looks["sgd"].color][:, 1], band(0.9).mean)
    reach = axes.collections[1].get_paths()[0].vertices[:, 1]
    assert reach.min() == band(0.9).low.min()
    assert reach.max() == band(0.9).high.max()


def test_equal_curves_have_their_marks_at_different_epochs(axes: Axes) -> None:
    curves = {name: band(0.5) for name in ("adam", "nag", "sgd")}
    draw_curves(axes, curves, styles(curves), "accuracy")
    marked = [set(EPOCHS[start::step]) for start, step in (x.get_markevery() for x in axes.lines)]
    assert not marked[0] & marked[1]
    assert not marked[1] & marked[2]


def test_a_curve_of_one_evaluation_can_be_seen(axes: Axes) -> None:
    point = Band(*np.array([[0.0], [0.5], [0.4], [0.6]]))
    draw_curves(axes, {"adam": point, "sgd": point}, styles(["adam", "sgd"]), "accuracy")
    assert all(line.get_markevery() == (0, 1) for line in axes.lines)
    assert all(line.get_marker() not in ("", "None") for line in axes.lines)


def test_without_curves_the_panel_says_so(axes: Axes) -> None:
    draw_curves(axes, {}, {}, "loss")
    assert [text.get_text() for text in axes.texts] == ["no curves were kept"]


@pytest.fixture
def by_rate() -> Mapping[str, Mapping[float, float]]:
    return {
        "adam": {0.001: 0.5, 0.01: 0.1, 0.1: math.inf},
        "sgd": {0.001: 0.5, 0.01: 0.1, 0.1: 0.3},
        "nag": {0.001: 0.5, 0.01: math.inf, 0.1: math.inf},
    }


def test_points_of_equal_optimizers_lie_side_by_side_close_to_their_rate(
    axes: Axes, by_rate: Mapping[str, Mapping[float, float]]
) -> None:
    looks = styles(by_rate)
    draw_sensitivity(axes, by_rate, looks, "loss")
    places = np.array([line.get_xdata() for line in axes.lines[:3]])
    assert len(np.unique(places[:, 0])) == 3
    # A tenth of a decade to either side, where rates are a decade apart.
    assert np.abs(np.log10(places / [0.001, 0.01, 0.1])).max() < 0.1
    np.testing.assert_allclose(np.log10(places).mean(axis=0), [-3, -2, -1])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.001", "0.01", "0.1"]


def test_rates_too_close_to_be_named_one_by_one_are_not(axes: Axes) -> None:
    by_rate = {"adam": {rate: 0.5 for rate in (0.001, 0.0011, 0.1)}}
    draw_sensitivity(axes, by_rate, styles(by_rate), "loss")
    assert "0.0011" not in [label.get_text() for label in axes.get_xticklabels()]


def test_an_infinite_mean_is_a_cross_above_all_lines(
    axes: Axes, by_rate: Mapping[str, Mapping[float, float]]
) -> None:
    looks = styles(by_rate)
    draw_sensitivity(axes, by_rate, looks, "loss")
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert {c.get_markeredgecolor(): len(c.get_xdata()) for c in crosses} == {
        looks["adam"].color: 1,
        looks["nag"].color: 2,
    }
    heights = [float(cross.get_ydata()[0]) for cross in crosses]
    assert len(set(heights)) == 2
    highest = axes.transAxes.inverted().transform(axes.transData.transform((0.01, 0.5)))[1]
    assert min(heights) > highest
    assert "not every seed ended well" in axes.get_title("left") + axes.get_title()


def test_sensitivity_without_a_lost_seed_speaks_of_none(axes: Axes) -> None:
    draw_sensitivity(axes, {"adam": {0.1: 0.5}}, styles(["adam"]), "loss")
    assert "seed" not in axes.get_title("left") + axes.get_title()


def test_intervals_are_drawn_best_on_top_with_labels(axes: Axes) -> None:
    cells = [cell(0.9, name="adam"), cell(0.7, name="sgd")]
    looks = styles(["adam", "sgd"])
    draw_intervals(axes, cells, looks, "accuracy")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.9", "0.7"]
    interval, mean = axes.lines[:2]
    np.testing.assert_allclose(interval.get_xdata(), [0.8, 1.0])
    np.testing.assert_array_equal(mean.get_xydata(), [[0.9, 0]])
    assert mean.get_marker() == looks["adam"].marker
    assert axes.transData.transform((0.9, 0))[1] > axes.transData.transform((0.9, 1))[1]


def test_of_many_cells_the_best_are_shown_and_counted(axes: Axes) -> None:
    cells = [cell(0.9 - 0.01 * i, name="adam") for i in range(30)] + [cell(math.inf, name="adam")]
    draw_intervals(axes, cells, styles(["adam"]), "loss")
    assert len(axes.get_yticks()) == 12
    assert "best 12 of 31 cells" in axes.get_title("left") + axes.get_title()


def test_one_seed_has_a_point_and_no_interval(axes: Axes) -> None:
    draw_intervals(axes, [cell(0.5, half=math.nan, name="adam")], styles(["adam"]), "accuracy")
    interval, mean = axes.lines
    assert np.isnan(interval.get_xdata()).all()
    np.testing.assert_array_equal(mean.get_xdata(), [0.5])


def test_a_long_label_is_cut_beside_the_axis(axes: Axes) -> None:
    long = replace(cell(0.5, name="adam"), label=", ".join(["a long option=1"] * 9))
    draw_intervals(axes, [long], styles(["adam"]), "accuracy")
    (label,) = [tick.get_text() for tick in axes.get_yticklabels()]
    assert len(label) <= LABEL_CHARACTERS
    assert ".." in label
