import numpy as np
import pytest

from optlab.report.charts.shades import shades

VALUES = np.array([[0.1, 1.0], [np.nan, np.inf], [10.0, -np.inf]])


def test_what_is_unknown_or_infinite_has_no_shade_and_does_not_stretch_the_map() -> None:
    shade = shades(VALUES)
    assert np.isnan(shade.places[1]).all()
    assert (shade.low, shade.high) == (0.1, 10.0)


def test_shades_of_a_logarithm_are_even_in_it_and_say_values() -> None:
    shade = shades(VALUES, is_log=True)
    np.testing.assert_allclose(shade.places[:, 0], [-1, np.nan, 1])
    assert (0.0, "1") in shade.ticks


def test_nothing_and_less_have_no_logarithm() -> None:
    assert np.isnan(shades(np.array([0.0, -1.0]), is_log=True).places).all()


@pytest.mark.parametrize("is_log", [False, True])
def test_the_middle_has_the_middle_shade(is_log: bool) -> None:
    shade = shades(VALUES, is_log, middle=1.0)
    assert (shade.low + shade.high) / 2 == pytest.approx(0.0 if is_log else 1.0)
    assert shade.low <= np.nanmin(shade.places)
    assert shade.high >= np.nanmax(shade.places)


@pytest.mark.parametrize("values", [[], [np.nan], [2.0, 2.0]])
def test_a_map_has_two_ends_whatever_the_values(values: list[float]) -> None:
    shade = shades(np.array(values))
    assert shade.low < shade.high
