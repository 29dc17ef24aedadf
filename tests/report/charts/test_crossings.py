import numpy as np
import pytest

from optlab.report.charts import Axis
from optlab.report.charts.crossings import BEYOND, crossings


def test_values_lie_between_the_ends_and_names_downwards() -> None:
    axis = Axis("optimizer", "names", ("adam", "lion", "sgd"))
    found = crossings(axis, np.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(found.places, [1, 0.5, 0])
    assert found.ticks == ((1.0, "adam"), (0.5, "lion"), (0.0, "sgd"))


def test_few_values_have_ticks_of_their_own() -> None:
    found = crossings(Axis("learning rate", "log"), np.array([0.1, 0.001, 0.01, 0.1]))
    np.testing.assert_allclose(found.places, [1, 0, 0.5, 1])
    assert [text for _, text in found.ticks] == ["0.001", "0.01", "0.1"]


@pytest.mark.parametrize("scale", ["linear", "log", "odds"])
def test_many_values_have_round_ticks_on_the_axis(scale: str) -> None:
    values = np.linspace(0.013, 0.98, 2001)
    found = crossings(Axis("x", scale), values)  # type: ignore[arg-type]
    assert len(found.ticks) >= 2
    for at, text in found.ticks:
        assert 0 <= at <= 1
        assert np.interp(float(text), values, found.places) == pytest.approx(at, abs=0.02)


def test_what_is_infinite_or_unknown_lies_beyond_and_is_named() -> None:
    found = crossings(Axis("loss", "log"), np.array([0.1, 10, np.inf, np.nan, 0.0]))
    np.testing.assert_allclose(found.places, [0, 1, 1 + BEYOND, -BEYOND, -BEYOND])
    assert (1 + BEYOND, "∞") in found.ticks
    assert (-BEYOND, "none, -∞") in found.ticks


@pytest.mark.parametrize("values", [[3.0, 3.0], [np.nan], [np.inf, np.inf]])
def test_an_axis_without_a_range_has_places_for_all(values: list[float]) -> None:
    assert np.isfinite(crossings(Axis("x"), np.array(values)).places).all()
