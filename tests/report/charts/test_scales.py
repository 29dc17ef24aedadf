import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optlab.report.charts.scales import make_room, scale


def plotted(values: list[float]) -> Axes:
    axes = Figure().subplots()
    axes.plot(range(len(values)), values)
    return axes


def test_accuracies_near_one_are_told_apart_beside_poor_ones() -> None:
    axes = plotted([0.1, 0.97, 0.98, 1.0])
    scale(axes, "y", "accuracy")
    heights = axes.transAxes.inverted().transform(
        axes.transData.transform(axes.lines[0].get_xydata())
    )
    assert np.diff(heights[:, 1]).min() > 0.04  # of the axis; 0.01 were it linear
    assert heights.min() > 0
    assert heights.max() < 1


@pytest.mark.parametrize("values", [[0.0, 1.0], [0.1, 0.98], [0.5, 0.999]])
def test_accuracies_have_round_ticks_with_room_between_them(values: list[float]) -> None:
    axes = plotted(values)
    scale(axes, "y", "accuracy")
    ticks = axes.get_yticks()
    assert len(ticks) >= 4
    places = axes.transAxes.inverted().transform(axes.transData.transform([(0, t) for t in ticks]))
    assert np.diff(places[:, 1]).min() > 0.05
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"{t:g}" for t in ticks]


@pytest.mark.parametrize(
    ("values", "metric", "expected"),
    [
        ([0.96, 0.97], "accuracy", "linear"),
        ([0.3, 0.6], "accuracy", "linear"),
        ([0.1, 0.97], "accuracy", "function"),
        ([0.1, 0.2], "loss", "linear"),
        ([0.1, 2.0], "loss", "log"),
        ([0.1, 2.0, float("inf")], "loss", "log"),
        ([0.0, 2.0], "loss", "linear"),
        ([-1.0, 2.0], "loss", "linear"),
        ([float("inf")], "loss", "linear"),
        ([], "accuracy", "linear"),
    ],
)
def test_the_scale_follows_the_values(values: list[float], metric: str, expected: str) -> None:
    axes = plotted(values)
    scale(axes, "y", metric)
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", expected)


def test_either_axis_can_be_scaled() -> None:
    axes = Figure().subplots()
    axes.plot([0.1, 10.0], [1.0, 1.0])
    scale(axes, "x", "loss")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")


@pytest.mark.parametrize("kind", ["linear", "log"])
def test_room_is_made_above_what_is_drawn(kind: str) -> None:
    axes = plotted([0.1, 10.0])
    axes.set_yscale(kind)
    low, high = axes.get_ylim()
    make_room(axes, 0.25)
    assert axes.get_ylim()[0] == low
    height = axes.transAxes.inverted().transform(axes.transData.transform((0, high)))[1]
    assert height == pytest.approx(0.75)
