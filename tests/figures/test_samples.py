import numpy as np
import pytest

from optlab.figures.samples import COLUMNS, ROWS, order, samples
from tests.figures.reading import drawn, texts


def test_the_surest_mistakes_come_first_then_the_least_sure_right_ones():
    true = np.array([0, 0, 0, 0, 0])
    predicted = np.array([0, 1, 0, 2, 0])
    certainty = np.array([0.9, 0.6, 0.4, 0.8, 0.5])
    assert order(true, predicted, certainty).tolist() == [3, 1, 2, 4, 0]
    assert order(true, predicted, certainty, most=2).tolist() == [3, 1]


def test_without_probabilities_mistakes_come_first_in_their_order():
    found = order(np.zeros(4, int), np.array([0, 1, 0, 1]), np.full(4, np.nan))
    assert found.tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("shape", [(8, 8), (6, 4, 3)])
def test_each_picture_says_what_it_is_and_what_it_is_seen_as(shape):
    images = np.random.default_rng(0).normal(size=(2, *shape))
    certainty = np.array([0.987, np.nan])
    found = drawn(lambda: samples(images, np.array([3, 5]), np.array([8, 5]), certainty, 40))
    (axes,) = found.axes
    assert texts(axes) == ["3 seen as 8, 99%", "5"]
    assert axes.get_title(loc="left").startswith("40 mistakes on validation rows")
    assert len(axes.images) == 2


def test_no_more_are_drawn_than_there_is_room_for():
    images, labels = np.zeros((100, 4, 4)), np.zeros(100, int)
    found = drawn(lambda: samples(images, labels, labels, np.ones(100), 0))
    assert len(found.axes[0].images) == ROWS * COLUMNS
