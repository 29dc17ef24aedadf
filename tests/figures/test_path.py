import numpy as np
import pytest

from optlab.figures.path import path
from tests.figures.reading import drawn, texts


def bowl(points):
    """Return x^2 + 4 y^2 + 7 at points, and x^2 + 7 of one variable."""
    return (points**2 * [1, 4][: points.shape[1]]).sum(axis=1) + 7


def way(*points):
    points = np.array(points, float)
    minimum = np.zeros((1, points.shape[1]))
    updates = 10.0 * np.arange(len(points))
    left, *_, right = drawn(lambda: path(bowl, minimum, updates, points)).axes[:2]
    return left, right


def shown(axes):
    return np.array([axes.get_xlim(), axes.get_ylim()])


def test_the_height_along_the_path_is_above_the_functions_minimum():
    _, right = way((2, 1), (1, 0.5), (0, 0.5))
    (line,) = right.lines
    np.testing.assert_allclose(line.get_xdata(), [0, 10, 20])
    np.testing.assert_allclose(line.get_ydata(), [8, 2, 1])


def test_the_map_holds_path_and_minimum_and_names_the_ends():
    left, _ = way((2, 1), (1, 0.5), (-3, 0.5))
    (low, high), (bottom, top) = shown(left)
    assert low < -3
    assert high > 2
    assert bottom < 0
    assert top > 1
    assert texts(left) == ["update 0", "update 20"]


def test_neither_variable_is_squeezed():
    (low, high), (bottom, top) = shown(way((2, 0.001), (-3, 0.001))[0])
    assert top - bottom > 0.5 * (high - low)


@pytest.mark.parametrize("far", [1e9, 1e160, np.inf, np.nan])
def test_a_path_that_diverges_leaves_the_map(far):
    left, _ = way((2, 1), (1, 1), (far, far))
    assert np.abs(shown(left)).max() < 20


def test_a_function_of_one_variable_is_a_line():
    left, _ = way((2.0,), (1.0,), (-0.5,))
    curve = left.lines[0]
    np.testing.assert_allclose(curve.get_ydata(), np.asarray(curve.get_xdata()) ** 2 + 7)


def test_a_run_that_stays_where_it_begins_is_drawn():
    left, _ = way((0.0, 0.0))
    assert texts(left) == ["update 0"]
