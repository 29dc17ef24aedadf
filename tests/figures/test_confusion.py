import numpy as np
from sklearn.metrics import confusion_matrix

from optlab.figures.confusion import MOST_CLASSES, MOST_NUMBERED, confusion, counts
from tests.figures.reading import drawn, texts


def rows(num_classes, right=0.7, size=900):
    rng = np.random.default_rng(num_classes)
    true = rng.integers(0, num_classes, size)
    other = rng.integers(0, num_classes, size)
    return true, np.where(rng.random(size) < right, true, other)


def test_counts_are_those_of_scikit_learn():
    true, predicted = rows(7)
    assert (counts(true, predicted, 7) == confusion_matrix(true, predicted)).all()
    assert counts([0, 2], [2, 2], 4).shape == (4, 4)


def test_every_row_is_a_number_in_the_picture_and_the_title_has_the_accuracy():
    true, predicted = rows(5)
    axes = drawn(lambda: confusion(counts(true, predicted, 5), "validation rows")).axes[0]
    assert sum(map(int, texts(axes))) == 900
    right = int((true == predicted).sum())
    assert axes.get_title(loc="left") == f"{right} of 900 validation rows right ({right / 900:.1%})"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list("01234")


def test_colours_are_shares_of_the_true_class():
    found = np.array([[8, 2], [0, 0]])
    (image,) = drawn(lambda: confusion(found, "rows")).axes[0].images
    np.testing.assert_array_equal(image.get_array(), [[0.8, 0.2], [0.0, 0.0]])


def test_of_many_classes_the_most_frequent_are_shown_without_numbers():
    true = np.repeat(np.arange(60), np.where(np.arange(60) < 10, 1, 5))
    axes = drawn(lambda: confusion(counts(true, true, 60), "rows")).axes[0]
    assert axes.images[0].get_array().shape == (MOST_CLASSES, MOST_CLASSES)
    assert axes.get_title(loc="left").endswith("40 of 60 classes")
    assert axes.get_yticklabels()[0].get_text() == "10"
    assert MOST_NUMBERED < MOST_CLASSES
    assert not texts(axes)
